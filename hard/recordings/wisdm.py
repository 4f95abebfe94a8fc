"""WISDM text → its columns: v1.1 (`user,activity,timestamp,x,y,z;`) and 2019 (the same with a letter for the activity).

WISDM v1.1: Kwapisz, Weiss and Moore, "Activity Recognition using Cell Phone Accelerometers" (2010).
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from hard.recordings.tables import Table

# activity_key.txt of "WISDM Smartphone and Smartwatch Activity and Biometrics Dataset" (Weiss 2019); N isn't used.
ACTIVITIES_2019 = {
    "A": "Walking",
    "B": "Jogging",
    "C": "Stairs",
    "D": "Sitting",
    "E": "Standing",
    "F": "Typing",
    "G": "Brushing Teeth",
    "H": "Eating Soup",
    "I": "Eating Chips",
    "J": "Eating Pasta",
    "K": "Drinking",
    "L": "Eating Sandwich",
    "M": "Kicking",
    "O": "Playing Catch",
    "P": "Dribbling",
    "Q": "Writing",
    "R": "Clapping",
    "S": "Folding Clothes",
}


def read_wisdm(text: str) -> Table:
    """Accepts the defects of WISDM v1.1: empty lines, several records a line, missing fields, zero times, zero xyz."""
    rejected: Counter[str] = Counter()
    subject, truth, time, values = [], [], [], []
    for record in text.replace("\n", ";").split(";"):
        if not record or record.isspace():
            continue
        fields = record.split(",")
        if len(fields) == 7 and not fields[6].strip():
            fields.pop()  # a comma before the semicolon
        if len(fields) != 6:
            rejected["wrong number of fields"] += 1
            continue
        try:
            at, xyz = float(fields[2]), (float(fields[3]), float(fields[4]), float(fields[5]))
        except ValueError:
            rejected["not a number"] += 1
            continue
        if not fields[0].strip():
            rejected["no subject"] += 1
        elif at == 0:
            rejected["time is zero"] += 1
        elif xyz == (0.0, 0.0, 0.0):
            rejected["all axes zero"] += 1
        else:
            subject.append(fields[0].strip())
            truth.append(fields[1].strip())
            time.append(at)
            values.append(xyz)
    xyz_rows = np.array(values, dtype=float).reshape(-1, 3)
    coded = sum(code in ACTIVITIES_2019 for code in truth)
    if coded <= sum(bool(code) for code in truth) / 2:
        return Table(subject, truth, time, xyz_rows, rejected)
    rows = [i for i, code in enumerate(truth) if not code or code in ACTIVITIES_2019]
    return Table(
        [subject[i] for i in rows],
        [ACTIVITIES_2019.get(truth[i], "") for i in rows],
        [time[i] for i in rows],
        xyz_rows[rows],
        rejected + Counter({"unknown activity code": len(truth) - len(rows)}),
    )
