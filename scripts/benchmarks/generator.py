"""The load generator, a process of its own: simulated devices publish samples; labels are counted and timed.

    python -m benchmarks.generator '{"port": 1883, "devices": 100, …}'

It takes an `Order`, prints `measuring` when every device is known, and at the end a `Delivery` as JSON. Each message
moves its device's clock by the seconds that it holds, however often messages come. So the same work can come from few
devices or from many.
"""

from __future__ import annotations

import math
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np

from benchmarks import wire
from hard.simulator import Wearer

WEARERS, SECONDS = 48, 24  # motions made beforehand, which devices share
TICK_S = 0.002
DRAIN_S = 8.0  # how long labels may stay out after the last message


class Order(msgspec.Struct):
    """`messages_s` in all; each holds `samples` at `rate_hz`. First each device sends `fill_s` in one message.

    `window_s` and `hop_s` are the daemon's, so that the number of labels is known beforehand.
    """

    port: int
    devices: int
    messages_s: float
    seconds: float
    samples: int = 20
    rate_hz: float = 20.0
    fill_s: float = 3.0
    window_s: float = 4.0
    hop_s: float = 1.0
    format: Literal["json", "csv"] = "json"


class Delivery(msgspec.Struct):
    """What was sent and what came. `p50_s` and `p99_s` run from sending what closes a window to receiving its label,
    `own_p99_s` from receipt to publication, as the labels say. `behind_s` is the generator's own greatest delay."""

    sent: int
    expected: int
    labels: int
    seconds: float
    p50_s: float
    p99_s: float
    own_p99_s: float
    behind_s: float
    cpu_s: float


class LabelLatency(msgspec.Struct):
    total: float


class TimedLabel(msgspec.Struct):
    latency_s: LabelLatency


class Motions:
    """Payloads of devices, made of a few wearers' motions; only the times are written for each message."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._piece_s = order.samples / order.rate_hz
        fill = round(order.fill_s * order.rate_hz)
        pieces = round(SECONDS / self._piece_s)
        self._fills, self._pieces = [], []
        for i in range(min(WEARERS, order.devices)):
            wearer = Wearer((1, i), order.rate_hz)
            self._fills.append(_template(wearer.take(fill).xyz, order) if fill else b"")
            self._pieces.append([_template(wearer.take(order.samples).xyz, order) for _ in range(pieces)])
        self._begin = time.time()

    def first(self, device: int) -> bytes:
        return self._with_times(self._fills[device % len(self._fills)], self._begin + device * 1e-3)

    def next(self, device: int, turn: int) -> bytes:
        pieces = self._pieces[device % len(self._pieces)]
        at = self._begin + device * 1e-3 + self._order.fill_s + turn * self._piece_s
        return self._with_times(pieces[turn % len(pieces)], at)

    def _with_times(self, template: bytes, at: float) -> bytes:
        if self._order.format == "json":
            return template % at
        times = at + np.arange(template.count(b"\n")) / self._order.rate_hz
        return template % tuple(times.tolist())

    def windows(self, turns: int) -> int:
        """How many windows a device has closed after so many messages."""
        # One every hop, from the first that is full.
        seconds = self._order.fill_s + turns * self._piece_s
        return max(0, math.floor(round((seconds - self._order.window_s) / self._order.hop_s, 6)) + 1)


class Generator:
    def __init__(self, order: Order) -> None:
        self._order, self._motions = order, Motions(order)
        self._out = wire.connected(order.port, "load")
        self._in = wire.connected(order.port, "labels", "hard/+/activity")
        self._streams = {self._out: wire.Stream(), self._in: wire.Stream()}
        self._topics = [wire.text(f"sensors/d{i}/accel") for i in range(order.devices)]
        self._decoder = msgspec.json.Decoder(TimedLabel)
        self._names = {f"hard/d{i}/activity".encode(): i for i in range(order.devices)}
        # When each device sent the messages that close its windows, as long as their labels have not come.
        self._closing: list[deque[float]] = [deque() for _ in range(order.devices)]
        self._acknowledged = self._sent = self._labels = 0
        self._latencies: list[tuple[float, float]] = []

    def run(self) -> Delivery:
        order = self._order
        if order.fill_s:
            self._send(self._fills(), rate=min(4000.0, 2 * order.messages_s + 500))
            self._drain(order.devices * self._motions.windows(0))
        self._latencies.clear()
        print("measuring", flush=True)
        cpu, begun, before = time.process_time(), time.monotonic(), self._labels
        total = round(order.messages_s * order.seconds)
        behind = self._send(self._messages(total), rate=order.messages_s)
        seconds = time.monotonic() - begun
        rounds, left = divmod(total, order.devices)
        expected = sum(
            count * (self._motions.windows(turns) - self._motions.windows(0))
            for count, turns in ((order.devices - left, rounds), (left, rounds + 1))
        )
        self._drain(before + expected)
        whole, own = np.array(self._latencies or [(0.0, 0.0)]).T
        return Delivery(
            sent=total, expected=expected, labels=self._labels - before, seconds=seconds,
            p50_s=float(np.quantile(whole, 0.5)), p99_s=float(np.quantile(whole, 0.99)),
            own_p99_s=float(np.quantile(own, 0.99)), behind_s=behind, cpu_s=time.process_time() - cpu,
        )  # fmt: skip

    def _fills(self) -> Iterator[tuple[bytes, bytes]]:
        closes = self._motions.windows(0)
        for device in range(self._order.devices):
            yield self._topics[device], self._motions.first(device)
            self._closing[device].extend([time.monotonic()] * closes)

    def _messages(self, total: int) -> Iterator[tuple[bytes, bytes]]:
        for i in range(total):
            turn, device = divmod(i, self._order.devices)
            if self._motions.windows(turn + 1) > self._motions.windows(turn):
                self._closing[device].append(time.monotonic())
            yield self._topics[device], self._motions.next(device, turn)

    def _send(self, messages: Iterator[tuple[bytes, bytes]], rate: float) -> float:
        """Sends evenly, `rate` a second; gives the greatest delay in s."""
        begun, sent, behind, ended = time.monotonic(), 0, 0.0, False
        while not ended:
            now = time.monotonic() - begun
            due, burst = int(now * rate) + 1, bytearray()
            behind = max(behind, now - sent / rate)
            while sent < due and len(burst) < wire.READ:
                message = next(messages, None)
                if message is None:
                    ended = True
                    break
                self._sent += 1
                burst += wire.publication(message[0], self._sent % 65_535 + 1, message[1])
                sent += 1
            if burst:
                self._write(burst)
            self._listen(max(0.0, min(TICK_S, sent / rate - (time.monotonic() - begun))))
        return behind

    def _write(self, burst: bytearray) -> None:
        """Sends all of it; receives labels while the broker is slow."""
        rest = memoryview(burst)
        self._out.setblocking(False)
        while rest:
            try:
                rest = rest[self._out.send(rest) :]
            except BlockingIOError:
                self._listen(TICK_S)
        self._out.setblocking(True)

    def _drain(self, labels: int) -> None:
        """Waits until `labels` came in all and the broker acknowledged everything, or nothing came for DRAIN_S."""
        quiet, last = time.monotonic(), (-1, -1)
        while (self._labels < labels or self._acknowledged < self._sent) and time.monotonic() - quiet < DRAIN_S:
            self._listen(0.05)
            if (self._labels, self._acknowledged) != last:
                quiet, last = time.monotonic(), (self._labels, self._acknowledged)

    def _listen(self, timeout_s: float) -> None:
        ready, _, _ = select.select((self._out, self._in), (), (), timeout_s)
        for link in ready:
            self._take(link)

    def _take(self, link: socket.socket) -> None:
        stream, data = self._streams[link], link.recv(wire.READ)
        if not data:
            raise ConnectionError("the broker closed the connection")
        now = time.monotonic()
        for topic, payload in stream.packets(data):
            if not topic:
                self._acknowledged += 1
                continue
            self._labels += 1
            sent = self._closing[self._names[topic]]
            if sent:
                self._latencies.append((now - sent.popleft(), self._decoder.decode(payload).latency_s.total))
        if stream.acknowledgements:
            link.setblocking(True)
            link.sendall(stream.acknowledgements)
            stream.acknowledgements.clear()


def _template(xyz: np.ndarray, order: Order) -> bytes:
    """The payload of `xyz` (N, 3) in the order's format; each time of it is a `%.3f` to be filled in."""
    values = np.round(xyz, 3).tolist()
    if order.format == "csv":
        return b"".join(b"%%.3f,%.3f,%.3f,%.3f\n" % tuple(row) for row in values)
    if len(values) == 1:
        return b'{"t":%%.3f,"x":%.3f,"y":%.3f,"z":%.3f}' % tuple(values[0])
    return b'{"t0":%%.3f,"rate":%g,"xyz":%b}' % (order.rate_hz, msgspec.json.encode(values))


def main() -> None:
    order = msgspec.json.decode(sys.argv[1], type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(Generator(order).run()) + b"\n")


if __name__ == "__main__":
    main()
