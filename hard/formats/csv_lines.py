"""CSV: lines `t,x,y,z` without a header."""

from __future__ import annotations

import numpy as np

from hard.formats.raw_samples import PayloadError, RawSamples


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError."""
    try:
        rows = [
            [float(field) for field in line.split(",")] for line in payload.decode("ascii").splitlines() if line.strip()
        ]
    except (ValueError, UnicodeDecodeError) as error:
        raise PayloadError("csv", f"not lines of t,x,y,z: {str(error)[:80]}") from error
    if any(len(row) != 4 for row in rows):
        raise PayloadError("csv", "a line does not have the four fields t,x,y,z")
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return RawSamples(table[:, 1:], table[:, 0])
