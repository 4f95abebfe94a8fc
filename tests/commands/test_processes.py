"""Processes: started, waited for, signalled and ended, and what a failure says."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from support.mosquitto import Mosquitto

from hard.commands import processes
from hard.commands.processes import EmbeddedBroker, MosquittoProcess, Process, free_port, listens, wait_until
from hard.errors import CommandError, UsageError

ECHO_UNTIL_END = "import sys; print('begun', flush=True); sys.stdin.read()"
IGNORE_SIGTERM = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('begun', flush=True); signal.pause()"
)


def python(tmp_path: Path, code: str, **environment: str) -> Process:
    return Process("the program", [sys.executable, "-c", code], tmp_path / "log", environment=environment)


def test_a_process_runs_while_its_block_does(tmp_path: Path) -> None:
    with python(tmp_path, ECHO_UNTIL_END) as process:
        assert 0 < process.wait_for_log("begun") < processes.START_S
        assert process.running
        assert process.memory_bytes() > 0
        assert process.cpu_s() >= 0
        assert process.descriptors() >= 3
        process.check()
    assert not process.running


def test_ends_by_the_signal_and_after_a_time_by_sigkill(tmp_path: Path) -> None:
    process = python(tmp_path, ECHO_UNTIL_END)
    process.start()
    assert process.end(signal.SIGINT) in (1, -signal.SIGINT)
    stubborn = python(tmp_path, IGNORE_SIGTERM)
    stubborn.start()
    stubborn.wait_for_log("begun")
    assert stubborn.end(within_s=0.1) == -signal.SIGKILL
    assert stubborn.end() == -signal.SIGKILL  # once more changes nothing
    assert python(tmp_path, "").end() == 0  # never started


def test_a_second_start_adds_to_the_log_and_is_waited_for_by_itself(tmp_path: Path) -> None:
    process = python(tmp_path, ECHO_UNTIL_END)
    for starts in (1, 2):
        process.start()
        process.wait_for_log("begun")
        assert (process.starts, process.log) == (starts, "begun\n" * starts)
        assert process.log_since_start == "begun\n"
        process.end()


def test_an_ended_process_is_named_with_its_exit_code_and_last_line(tmp_path: Path) -> None:
    ends = python(tmp_path, "print('first'); print('the reason'); raise SystemExit(3)")
    with ends, pytest.raises(CommandError, match="the program ended with exit code 3: the reason"):
        ends.wait_for_log("never")
    silent = python(tmp_path / "silent", "")
    with silent, pytest.raises(CommandError, match="exit code 0: it wrote nothing"):
        silent.wait_for_port(free_port())


def test_waiting_has_an_end() -> None:
    with pytest.raises(CommandError, match=r"nothing happens after 0.05 s"):
        wait_until(lambda: False, "nothing happens", 0.05)


def test_settings_of_ours_are_not_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARD_LOG_LEVEL", "debug")
    monkeypatch.setenv("OTHER", "kept")
    code = "import os; print(*(os.environ.get(n) for n in ('HARD_LOG_LEVEL', 'HARD_GRACE_S', 'OTHER')), 'end')"
    with python(tmp_path, code, HARD_GRACE_S="1") as process:
        process.wait_for_log("end")
    assert process.log == "None 1 kept end\n"


def test_mosquitto_keeps_its_port_over_starts(mosquitto: Mosquitto) -> None:
    port = mosquitto.port
    assert listens(port)
    mosquitto.stop(kill=True)
    assert not listens(port)
    mosquitto.start()
    assert (mosquitto.port, mosquitto.url) == (port, f"mqtt://127.0.0.1:{port}")
    assert listens(port)


def test_a_broker_that_does_not_start_or_is_not_installed_is_named(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="mosquitto ended with exit code"):
        mosquitto.reconfigure("nonsense true")
    monkeypatch.setattr(processes.shutil, "which", lambda *_, **__: None)
    with pytest.raises(UsageError, match="apt install mosquitto"):
        MosquittoProcess(tmp_path)


def test_without_amqtt_the_embedded_broker_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'hard-daemon\[demo\]'"):
        EmbeddedBroker(tmp_path)


def test_a_process_group_of_its_own_keeps_ctrl_c_away(tmp_path: Path) -> None:
    with python(tmp_path, ECHO_UNTIL_END) as process:
        assert os.getpgid(process.pid) == process.pid
