"""deploy/install.sh into a scratch root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "install.sh"


def install(*options: str, root: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs it with this interpreter, under a umask that gives other users no access."""
    environment = {**os.environ, "PYTHON": sys.executable, "DESTDIR": str(root)}
    command = [SCRIPT, *options]
    return subprocess.run(
        command, check=check, env=environment, capture_output=True, text=True, timeout=900, umask=0o077
    )
