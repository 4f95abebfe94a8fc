"""The load generator's MQTT."""

from __future__ import annotations

from benchmarks import wire


def test_packets_are_found_however_the_bytes_are_split() -> None:
    long = b"x" * 300  # its length takes two bytes
    sent = wire.publication(wire.text("hard/a/activity"), 7, long) + wire.packet(wire.PUBACK, b"\x00\x05")
    sent += wire.publication(wire.text("b"), 8, b"")
    for size in (1, 2, 5, 1000):
        stream = wire.Stream()
        found = [
            (topic, bytes(payload))
            for i in range(0, len(sent), size)
            for topic, payload in stream.packets(sent[i : i + size])
        ]
        assert found == [(b"hard/a/activity", long), (b"", b""), (b"b", b"")]
        assert stream.acknowledgements == b"\x40\x02\x00\x07\x40\x02\x00\x08"
