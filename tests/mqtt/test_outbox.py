"""The bounded queue of outgoing messages and what is in flight, without a broker; with one in test_mqtt.py."""

from __future__ import annotations

import threading
from collections import Counter

from hard.mqtt.outbox import MORE_IF_OPEN, Outbox, Outgoing


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


def message(topic: str, told: dict[str, bool], qos: int = 1) -> Outgoing:
    return Outgoing(topic, lambda: b"x", qos, settled=lambda taken: told.update({topic: taken}))


def test_a_full_outbox_drops_the_oldest() -> None:
    told: dict[str, bool] = {}
    outbox = Outbox(Client().send, 10)
    for i in range(13):
        outbox.put(message(str(i), told))
    assert told == dict.fromkeys("012", False)
    assert len(outbox) == 10


def test_more_may_wait_while_the_broker_is_there_and_late() -> None:
    told: dict[str, bool] = {}
    outbox = Outbox(Client().send, 10)
    outbox.open(1)
    for i in range(1 + MORE_IF_OPEN * 10):
        outbox.put(message(str(i), told))
    assert told == {}
    outbox.put(message("one too many", told))
    assert told == {"1": False}


def test_what_is_being_sent_still_waits() -> None:
    seen: list[int] = []
    outbox = Outbox(lambda _: seen.append(len(outbox)) or 0, 10)
    outbox.open(1)
    outbox.put(message("a", {}))
    assert seen == [1]


def test_no_more_is_in_flight_than_there_is_room_for() -> None:
    told: dict[str, bool] = {}
    client = Client()
    outbox = Outbox(client.send, 10)
    for i in range(5):
        outbox.put(message(str(i), told))
    assert client.sent == []
    outbox.open(2)
    assert client.sent == ["0", "1"]
    outbox.taken(1)
    assert (client.sent, told) == (["0", "1", "2"], {"1": True})
    outbox.shut()
    outbox.taken(0)
    assert len(client.sent) == 3
    assert not outbox.drain(0)
    outbox.open(10)
    for mid in (2, 3, 4):
        outbox.taken(mid)
    assert outbox.drain(0)
    assert told == dict.fromkeys("01234", True)


def test_a_new_connection_gives_up_what_was_in_flight_at_qos_0_alone() -> None:
    told: dict[str, bool] = {}
    outbox = Outbox(Client().send, 10)
    outbox.open(10)
    outbox.put(message("zero", told, qos=0))
    outbox.put(message("one", told))
    outbox.shut()
    outbox.open(10)
    assert told == {"zero": False}
    assert outbox.in_flight == 1


def test_what_the_client_refuses_is_settled_and_keeps_no_room() -> None:
    told: dict[str, bool] = {}
    outbox = Outbox(Client(refuse="no").send, 10)
    outbox.open(1)
    outbox.put(message("no", told, qos=0))
    outbox.put(message("yes", told))
    assert told == {"no": False}
    assert outbox.in_flight == 1


def test_what_is_abandoned_is_settled_once_and_what_comes_later_at_once() -> None:
    told: Counter[bool] = Counter()
    outbox = Outbox(Client().send, 10)
    outbox.open(2)
    for _ in range(5):
        outbox.put(Outgoing("t", lambda: b"x", settled=lambda taken: told.update([taken])))
    outbox.abandon()
    outbox.taken(0)
    assert told == {False: 5}
    outbox.put(Outgoing("t", lambda: b"x", settled=lambda taken: told.update([taken])))
    assert told == {False: 6}
    outbox.put(Outgoing("health", lambda: b"x"))  # in no book: the last word still goes out
    assert len(outbox) == 1


def test_many_threads_put_while_another_acknowledges() -> None:
    told: Counter[bool] = Counter()
    ids: list[int] = []
    sent = threading.Semaphore(0)

    def send(_: Outgoing) -> int:
        ids.append(len(ids))
        sent.release()
        return ids[-1]

    outbox = Outbox(send, 10_000)
    outbox.open(7)

    def put() -> None:
        for _ in range(500):
            outbox.put(Outgoing("t", lambda: b"x", settled=lambda taken: told.update([taken])))

    def acknowledge() -> None:
        for mid in range(2000):
            assert sent.acquire(timeout=30)
            outbox.taken(mid)

    threads = [threading.Thread(target=work) for work in (put, put, put, put, acknowledge)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outbox.drain(10)
    assert told == {True: 2000}
