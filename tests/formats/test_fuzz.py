"""Bad payloads of every format: the assembler lives, its counters add up, and a good message is still read.

HARD_FUZZ_PAYLOADS says how many of each format.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from support.assembly import Assembly
from support.decoder import decoder, message
from support.payloads import SETTINGS, batch, settings_of

from hard.formats.writers import WRITERS
from hard.records import Message

PAYLOADS = int(os.environ.get("HARD_FUZZ_PAYLOADS", "3000"))
VALUES = (
    None,
    "x",
    [],
    {},
    True,
    1e308,
    -1e308,
    2**63,
    -1,
    0,
    "1e400",
    "2023-11-14T22:13:20Z",
    "NaN",
    [[[]]],
    {"x": 1},
)


def mutated(random_: random.Random, good: bytes) -> bytes:
    """Random bytes, or a good payload with bytes changed, left out, cut, doubled, or a value replaced."""
    kind, data = random_.randrange(9), bytearray(good)
    if kind == 0:
        return random_.randbytes(random_.randrange(300))
    if kind == 1:
        for _ in range(random_.randrange(1, 6)):
            data[random_.randrange(len(data))] = random_.randrange(256)
    elif kind == 2:
        del data[random_.randrange(len(data)) :]
    elif kind == 3:
        at = random_.randrange(len(data))
        del data[at : at + random_.randrange(1, 30)]
    elif kind == 4:
        data[0:0] = data[: random_.randrange(len(data))]
    elif kind == 5:
        at = random_.randrange(len(data))
        data[at:at] = random_.choice((b"NaN", b"null", b"\0", b"\x1f\x8b", b",", b"[", b'"', b"1e999", b"\xff\xff"))
    else:
        return _value_replaced(random_, good)
    return bytes(data)


def _value_replaced(random_: random.Random, good: bytes) -> bytes:
    try:
        document = json.loads(good)
    except ValueError:
        return good[::-1]
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = random_.choice(list(keys))
        if not isinstance(place[key], dict | list) or not place[key] or random_.random() < 0.2:
            place[key] = random_.choice(VALUES)
            return json.dumps(document).encode()
        place = place[key]


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_payloads_harm_nothing(name: str, tmp_path: Path) -> None:
    random_ = random.Random(name)
    decoding = decoder(**settings_of(name))
    assembly = Assembly(tmp_path, durability="none", decoder=decoding)
    good = [payload for seed in range(5) for payload in WRITERS[name](batch(10, seed=seed))]
    with np.errstate(all="raise", under="ignore"):
        for i in range(PAYLOADS):
            payload = mutated(random_, random_.choice(good))
            at = 1000 + i * 0.01
            assembly.receive(Message(f"sensors/d{i % 7}/accel", payload, at, 1.7e9 + at))
    accounting = assembly.accounting
    assert accounting.counters().discrepancies() == []
    assert accounting.reasons()["internal"] == 0
    assert accounting.counters().messages.received == PAYLOADS
    assert accounting.counters().messages.malformed > PAYLOADS / 10
    assert len(decoding.decode(message(good[0])).xyz)
