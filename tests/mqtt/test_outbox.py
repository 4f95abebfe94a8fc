"""The bounded queue of outgoing messages and what is in flight, without a broker; with one in test_session.py."""

from __future__ import annotations

import threading
from collections import Counter

from hard.mqtt.outbox import CONNECTED_FACTOR, Outbox, Outgoing


class Client:
    """Takes what is sent, and remembers it by its id."""

    def __init__(self, refuse: str = "") -> None:
        self.sent: list[str] = []
        self._refuse = refuse

    def send(self, outgoing: Outgoing) -> int | None:
        if outgoing.topic == self._refuse:
            return None
        self.sent.append(outgoing.topic)
        return len(self.sent) - 1


def message(topic: str, acks: dict[str, bool], qos: int = 1) -> Outgoing:
    return Outgoing(topic, lambda: b"x", qos, on_ack=lambda taken: acks.update({topic: taken}))


def test_a_full_outbox_drops_the_oldest() -> None:
    acks: dict[str, bool] = {}
    outbox = Outbox(Client().send, 10)
    for i in range(13):
        outbox.put(message(str(i), acks))
    assert acks == dict.fromkeys("012", False)
    assert len(outbox) == 10


def test_more_may_wait_while_connected() -> None:
    acks: dict[str, bool] = {}
    outbox = Outbox(Client().send, 10)
    outbox.connected(1)
    for i in range(1 + CONNECTED_FACTOR * 10):
        outbox.put(message(str(i), acks))
    assert acks == {}
    outbox.put(message("one too many", acks))
    assert acks == {"1": False}


def test_what_is_being_sent_still_waits() -> None:
    seen: list[int] = []
    outbox = Outbox(lambda _: seen.append(len(outbox)) or 0, 10)
    outbox.connected(1)
    outbox.put(message("a", {}))
    assert seen == [1]


def test_no_more_is_in_flight_than_allowed() -> None:
    acks: dict[str, bool] = {}
    client = Client()
    outbox = Outbox(client.send, 10)
    for i in range(5):
        outbox.put(message(str(i), acks))
    assert client.sent == []
    outbox.connected(2)
    assert client.sent == ["0", "1"]
    outbox.acknowledged(1)
    assert (client.sent, acks) == (["0", "1", "2"], {"1": True})
    outbox.disconnected()
    outbox.acknowledged(0)
    assert len(client.sent) == 3
    assert not outbox.drain(0)
    outbox.connected(10)
    for mid in (2, 3, 4):
        outbox.acknowledged(mid)
    assert outbox.drain(0)
    assert acks == dict.fromkeys("01234", True)


def test_a_new_connection_gives_up_what_was_in_flight_at_qos_0_alone() -> None:
    acks: dict[str, bool] = {}
    outbox = Outbox(Client().send, 10)
    outbox.connected(10)
    outbox.put(message("zero", acks, qos=0))
    outbox.put(message("one", acks))
    outbox.disconnected()
    outbox.connected(10)
    assert acks == {"zero": False}
    assert outbox.in_flight == 1


def test_a_message_that_the_client_refuses_is_dropped_and_not_in_flight() -> None:
    acks: dict[str, bool] = {}
    outbox = Outbox(Client(refuse="no").send, 10)
    outbox.connected(1)
    outbox.put(message("no", acks, qos=0))
    outbox.put(message("yes", acks))
    assert acks == {"no": False}
    assert outbox.in_flight == 1


def test_abandoned_messages_are_dropped_once_and_later_ones_at_once() -> None:
    acks: Counter[bool] = Counter()
    outbox = Outbox(Client().send, 10)
    outbox.connected(2)
    for _ in range(5):
        outbox.put(Outgoing("t", lambda: b"x", on_ack=lambda taken: acks.update([taken])))
    outbox.abandon()
    outbox.acknowledged(0)
    assert acks == {False: 5}
    outbox.put(Outgoing("t", lambda: b"x", on_ack=lambda taken: acks.update([taken])))
    assert acks == {False: 6}
    outbox.put(Outgoing("health", lambda: b"x"))  # without on_ack: it still goes out
    assert len(outbox) == 1


def test_many_threads_put_while_another_acknowledges() -> None:
    acks: Counter[bool] = Counter()
    ids: list[int] = []
    sent = threading.Semaphore(0)

    def send(_: Outgoing) -> int:
        ids.append(len(ids))
        sent.release()
        return ids[-1]

    outbox = Outbox(send, 10_000)
    outbox.connected(7)

    def put() -> None:
        for _ in range(500):
            outbox.put(Outgoing("t", lambda: b"x", on_ack=lambda taken: acks.update([taken])))

    def acknowledge() -> None:
        for mid in range(2000):
            assert sent.acquire(timeout=30)
            outbox.acknowledged(mid)

    threads = [threading.Thread(target=work) for work in (put, put, put, put, acknowledge)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outbox.drain(10)
    assert acks == {True: 2000}
