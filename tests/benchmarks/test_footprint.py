"""Sizes on disk and in memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks import footprint


def test_the_size_of_a_folder_counts_links_as_links(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_bytes(b"x" * 100_000)
    before = footprint.size_of(tmp_path)
    assert before >= 100_000
    (tmp_path / "link").symlink_to("inner/file")
    assert footprint.size_of(tmp_path) < before + 50_000


@pytest.mark.slow
@pytest.mark.usefixtures("needs_mosquitto")
def test_the_daemon_of_an_interpreter_is_measured_under_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert footprint.resident_bytes(sys.executable, tmp_path, devices=2, seconds=6) > 20_000_000
    assert "hard_devices 2" in capsys.readouterr().out
