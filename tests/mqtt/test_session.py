"""The one session, against a real mosquitto: subscription, status, acknowledgements in order, the bounded outbox."""

from __future__ import annotations

import gc
import queue
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from soak.proxy import Proxy
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto
from support.session_options import session_options

from hard.commands.processes import free_port
from hard.mqtt.broker_address import BrokerAddress, tls_context
from hard.mqtt.outbox import Outgoing
from hard.mqtt.session import Session


@contextmanager
def session(
    broker: Mosquitto, size: int = 100, counts: Counter[str] | None = None, **options: Any
) -> Iterator[Session]:
    seen: Counter[str] = Counter() if counts is None else counts
    made = Session(
        session_options(broker.port, **{"max_incoming": size, **options}),
        ["sensors/+/accel"],
        "hard/status",
        queue.SimpleQueue(),
        on_received=lambda: seen.update(["came"]),
        on_shed=lambda: seen.update(["shed"]),
    )
    with made:
        yield made


def received(made: Session, n: int) -> list[Any]:
    return [made.incoming.get(timeout=60) for _ in range(n)]


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_it_subscribes_and_publishes_online_then_offline(mosquitto: Mosquitto, protocol: str) -> None:
    with Listener(mosquitto) as listener:
        with session(mosquitto, protocol=protocol) as made:
            eventually(lambda: made.subscribed)
            eventually(lambda: listener.last.get("hard/status") == b"online")
            listener.client.publish("sensors/a/accel", b"1", qos=1)
            (message,) = received(made, 1)
            assert (message.topic, message.payload, message.qos) == ("sensors/a/accel", b"1", 1)
            assert 0 <= time.monotonic() - message.received_at < 10
            made.acknowledge(message)
        eventually(lambda: listener.last["hard/status"] == b"offline")


def test_the_content_type_of_mqtt_5_comes_with_the_message(mosquitto: Mosquitto) -> None:
    with session(mosquitto, protocol="5") as made:
        eventually(lambda: made.subscribed)
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.connect(mosquitto.host, mosquitto.port)
        client.loop_start()
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "text/csv"
        client.publish("sensors/a/accel", b"1", qos=1, properties=properties)
        (message,) = received(made, 1)
        assert message.content_type == "text/csv"
        client.disconnect()
        client.loop_stop()


def test_a_broker_killed_and_restarted_finds_it_resubscribed_and_online(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, session(mosquitto) as made:
        eventually(lambda: made.subscribed)
        mosquitto.stop(kill=True)
        eventually(lambda: not made.connected)
        listener.last.clear()
        mosquitto.start()
        eventually(lambda: made.subscribed)
        eventually(lambda: listener.last.get("hard/status") == b"online")
        assert made.reconnects >= 1
        listener.client.publish("sensors/b/accel", b"2", qos=1)
        assert received(made, 1)[0].payload == b"2"


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_another_client_with_the_same_id_is_reported_and_keeps_the_connection(
    mosquitto: Mosquitto, protocol: str
) -> None:
    with session(mosquitto, protocol=protocol, reconnect_max_s=20) as made:
        eventually(lambda: made.subscribed)
        other = paho.Client(CallbackAPIVersion.VERSION2, client_id="test-session")
        other.reconnect_delay_set(0.05, 0.05)  # type: ignore[arg-type]
        other.connect_async(mosquitto.host, mosquitto.port)
        other.loop_start()
        eventually(lambda: made.evicted)
        before = made.connections
        time.sleep(4)
        assert made.connections <= before + 1
        assert "test-session" in made.evicted
        assert other.is_connected()
        other.disconnect()
        other.loop_stop()


@pytest.mark.slow
def test_a_broker_that_never_answers_is_tried_again(mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    callers = []
    with socket.create_server((mosquitto.host, mosquitto.port)) as silent:
        silent.settimeout(60)
        with session(mosquitto, keepalive_s=5, reconnect_max_s=0.3) as made:
            callers += [silent.accept()[0] for _ in range(2)]  # it gave up the first connection and tried again
            assert made.alive
            assert not made.connected
            silent.close()
            for caller in callers:
                caller.close()
            mosquitto.start()
            eventually(lambda: made.subscribed)


def test_it_starts_without_a_broker_and_connects_when_one_comes(mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    with session(mosquitto) as made:
        assert made.tried.wait(60)
        assert not made.connected
        mosquitto.start()
        eventually(lambda: made.subscribed)


def test_labels_made_while_the_broker_is_away_wait(mosquitto: Mosquitto) -> None:
    acks: list[bool] = []
    with session(mosquitto) as made:
        eventually(lambda: made.subscribed)
        mosquitto.stop()
        eventually(lambda: not made.connected)
        for i in range(50):
            made.outbox.put(Outgoing(f"out/{i}", lambda: b"x", on_ack=acks.append))
        assert acks == []
        mosquitto.start()
        with Listener(mosquitto, "out/#") as listener:
            assert made.outbox.drain(60)
            eventually(lambda: acks == [True] * 50)
            assert len(listener.all) <= 50


def test_qos_0_messages_that_a_broken_connection_left_unsent_are_given_up(mosquitto: Mosquitto) -> None:
    acks: Counter[bool] = Counter()
    with session(mosquitto, max_inflight=300) as made:
        eventually(lambda: made.subscribed)
        mosquitto.send_signal(signal.SIGSTOP)
        for _ in range(300):
            made.outbox.put(Outgoing("t", lambda: bytes(100_000), qos=0, on_ack=lambda taken: acks.update([taken])))
        time.sleep(0.5)  # the kernel takes some of it
        mosquitto.stop(kill=True)
        mosquitto.start()
        eventually(lambda: made.subscribed and not len(made.outbox))
    assert acks[False] > 0
    assert acks.total() == 300


def test_no_more_is_in_flight_than_an_mqtt_5_broker_accepts(mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    mosquitto.config.append("max_inflight_messages 5")
    mosquitto.start()
    with session(mosquitto, protocol="5") as made:
        eventually(lambda: made.subscribed)
        assert made.outbox.max_in_flight == 4  # and its own status


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_no_qos_1_message_is_shed_whatever_the_broker_sends_at_once(mosquitto: Mosquitto, protocol: str) -> None:
    """mosquitto sends up to max_inflight_messages more with each acknowledgement, in flight or not."""
    mosquitto.reconfigure("max_inflight_messages 20" if protocol == "5" else "max_inflight_messages 5")
    counts: Counter[str] = Counter()
    with Listener(mosquitto) as listener, session(mosquitto, size=5, counts=counts, protocol=protocol) as made:
        eventually(lambda: made.subscribed)
        for i in range(100):
            listener.client.publish("sensors/a/accel", str(i), qos=1)
        eventually(lambda: len(listener.all) >= 100 and counts["came"] >= 5)
        assert counts == {"came": 5}  # with 5 by ReceiveMaximum alone
        for i in range(100):
            (message,) = received(made, 1)
            assert message.payload == str(i).encode()
            made.acknowledge(message)
    assert counts == {"came": 100}


def test_an_mqtt_5_broker_drops_what_has_expired_and_keeps_what_is_retained(mosquitto: Mosquitto) -> None:
    came: dict[str, int | None] = {}

    def listen(expected: int) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="sleeper", protocol=paho.MQTTv5)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 600
        client.on_connect = lambda c, *_: c.subscribe("out/#", 1)
        client.on_subscribe = lambda *_: came.update(subscribed=None)
        client.on_message = lambda _c, _d, m: came.update(
            {m.topic: getattr(m.properties, "MessageExpiryInterval", None)}
        )
        client.connect(mosquitto.host, mosquitto.port, clean_start=False, properties=properties)
        client.loop_start()
        eventually(lambda: len(came) >= expected)
        client.disconnect()
        client.loop_stop()

    listen(1)
    with session(mosquitto, protocol="5") as made:
        eventually(lambda: made.connected)
        for topic, within_s in (("old", -10.0), ("short", 1.0), ("long", 600.0), ("never", 2.0**32)):
            made.outbox.put(Outgoing(f"out/{topic}", lambda: b"x", expires_at=time.time() + within_s))
        made.outbox.put(Outgoing("out/state", lambda: b"x", retain=True))
        assert made.outbox.drain(60)
    time.sleep(2.5)  # mosquitto counts in whole seconds
    came.clear()
    listen(4)
    assert set(came) == {"subscribed", "out/long", "out/never", "out/state"}
    assert 500 < (came["out/long"] or 0) <= 600
    assert came["out/state"] is None


def test_at_most_max_inflight_messages_are_out_and_all_arrive_in_order(mosquitto: Mosquitto) -> None:
    mosquitto.reconfigure("max_queued_messages 10000")  # by default it drops what a slow listener has not read
    acks: list[bool] = []
    with Listener(mosquitto, "out/#") as listener, session(mosquitto, max_inflight=5) as made:
        eventually(lambda: made.connected)
        for i in range(2000):
            made.outbox.put(Outgoing("out/x", lambda i=i: str(i).encode(), on_ack=acks.append))  # type: ignore[misc]
            assert made.outbox.in_flight <= 5
        assert made.outbox.drain(60)
        eventually(lambda: len(listener.all) == 2000)
        assert [int(payload) for _, payload in listener.all] == list(range(2000))
        eventually(lambda: acks == [True] * 2000)


def test_a_full_queue_sheds_at_qos_0_and_counts_it(mosquitto: Mosquitto) -> None:
    counts: Counter[str] = Counter()
    with Listener(mosquitto) as listener, session(mosquitto, size=5, counts=counts) as made:
        eventually(lambda: made.subscribed)
        for i in range(15):
            listener.client.publish("sensors/a/accel", str(i), qos=0)
        eventually(lambda: counts == {"came": 15, "shed": 10})
        received(made, 5)
        for i in range(100):
            listener.client.publish("sensors/a/accel", str(i), qos=0)
            assert received(made, 1)[0].payload == str(i).encode()


def test_a_message_that_waits_on_a_full_queue_at_a_stop_stays_with_the_broker(mosquitto: Mosquitto) -> None:
    counts: Counter[str] = Counter()
    with Listener(mosquitto) as listener:
        with session(mosquitto, size=1, counts=counts) as made:
            eventually(lambda: made.subscribed)
            for i in range(3):
                listener.client.publish("sensors/a/accel", str(i), qos=1)
            eventually(lambda: made.incoming.qsize() == 1)
            before = made.turns
            eventually(lambda: made.turns > before + 10)  # it waits, and is not stuck
            made.stop_receiving()
            made.acknowledge(received(made, 1)[0])
        assert counts == {"came": 1}
        with session(mosquitto) as made:
            assert [message.payload for message in received(made, 2)] == [b"1", b"2"]


def test_unacknowledged_messages_come_again_on_the_next_connection(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener:
        with session(mosquitto) as made:
            eventually(lambda: made.subscribed)
            listener.client.publish("sensors/a/accel", b"kept", qos=1)
            assert received(made, 1)[0].payload == b"kept"
        with session(mosquitto) as made:
            again = received(made, 1)[0]
            assert again.payload == b"kept"
            made.acknowledge(again)


def test_nothing_is_received_after_stop_receiving(mosquitto: Mosquitto) -> None:
    counts: Counter[str] = Counter()
    with Listener(mosquitto) as listener:
        with session(mosquitto, counts=counts) as made:
            eventually(lambda: made.subscribed)
            made.stop_receiving()
            listener.client.publish("sensors/a/accel", b"later", qos=1).wait_for_publish(60)
            time.sleep(0.2)
            assert counts["came"] == 0
        with session(mosquitto) as made:
            assert received(made, 1)[0].payload == b"later"


def test_the_last_will_says_offline_when_the_connection_breaks(mosquitto: Mosquitto) -> None:
    with (
        Listener(mosquitto) as listener,
        Proxy(mosquitto.port, seed=0) as proxy,
        session(mosquitto, address=BrokerAddress(mosquitto.host, proxy.port)),
    ):
        eventually(lambda: listener.last.get("hard/status") == b"online")
        proxy.corrupt()  # the broker closes a connection that breaks the protocol
        eventually(lambda: b"offline" in [p for t, p in listener.all if t == "hard/status"])
        eventually(lambda: listener.last["hard/status"] == b"online")


def test_a_wrong_password_is_logged_and_tried_again(mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    mosquitto.stop()
    mosquitto.config[:] = ["allow_anonymous false"]
    mosquitto.start()
    with session(mosquitto, address=replace(mosquitto.address, username="u", password="wrong")) as made:
        assert made.tried.wait(60)
        assert not made.connected
        assert "refused the connection" in caplog.text
        assert "wrong" not in caplog.text
        mosquitto.stop()
        mosquitto.config[:] = ["allow_anonymous true"]
        mosquitto.start()
        eventually(lambda: made.subscribed)


def test_an_unreachable_broker_is_no_failure() -> None:
    counts: Counter[str] = Counter()
    made = Session(
        session_options(free_port()), ["a"], "s", queue.SimpleQueue(),
        on_received=lambda: counts.update(["came"]), on_shed=lambda: None,
    )  # fmt: skip
    with made:
        assert made.tried.wait(60)
        assert made.failed is None


# paho leaves a socket whose handshake failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("client_certificate", [False, True], ids=["tls", "mutual tls"])
def test_tls_with_real_certificates(
    mosquitto: Mosquitto, tmp_path: Path, client_certificate: bool, caplog: pytest.LogCaptureFixture
) -> None:
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("gateway")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, certificate in (("server", server), ("client", client)):
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    mosquitto.stop()
    mosquitto.config += [
        f"cafile {tmp_path}/ca.pem", f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.key",
        f"require_certificate {str(client_certificate).lower()}",
    ]  # fmt: skip
    mosquitto.start()
    own = (tmp_path / "client.pem", tmp_path / "client.key") if client_certificate else ()
    trusting = replace(mosquitto.address, tls=tls_context(tmp_path / "ca.pem", *own))
    with session(mosquitto, address=trusting) as trusted:
        eventually(lambda: trusted.subscribed)
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    mistrusting = replace(mosquitto.address, tls=tls_context(tmp_path / "other.pem", *own))
    with session(mosquitto, address=mistrusting) as made:
        assert made.tried.wait(60)
        assert not made.connected
        assert made.failed is None
        assert "certificate verify failed" in caplog.text
    caplog.clear()  # its records hold the exceptions, and these the sockets
    del made
    gc.collect()
