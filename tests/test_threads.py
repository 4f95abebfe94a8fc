"""Libraries start no threads of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to count threads")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core: OpenBLAS starts no second thread anyway")
def test_numpy_computes_in_the_thread_that_calls_it() -> None:
    """By default OpenBLAS starts a thread for each further core, and these spin after each product."""
    code = "import hard, numpy, os; a = numpy.ones((500, 500)); a @ a; print(len(os.listdir('/proc/self/task')))"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "1\n"
