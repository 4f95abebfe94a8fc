"""The rooms of scripts/benchmarks. What they measure is asserted nowhere."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
