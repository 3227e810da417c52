"""What was started is remembered, and only that is ended."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from buildkit.registry import state as module
from buildkit.registry.state import State, all_states, birth, end_process, forget, load, save
from tests.fakes.runner import Call, FakeRunner

STATE = State(
    registry="localhost:5001",
    hub="localhost:5000",
    kind="process",
    version="v3",
    pid=7,
    born="boot/9",
)


def ps(text: str, status: int = 0) -> FakeRunner:
    """Return a runner that answers as `ps -o stat=,lstart=` does."""

    def answer(call: Call) -> tuple[int, bytes, bytes]:
        assert call.argv[-1] == "7"
        assert call.env["LC_ALL"] == "C"
        return status, text.encode(), b""

    return FakeRunner(answer)


def stat(pid: int, status: str, *, threads: int) -> str:
    """Return a line of proc_pid_stat(5); the fields not given hold their own number."""
    fields = [status, *map(str, range(4, 40))]
    fields[17] = str(threads)
    return f"{pid} (a) S (b)) {' '.join(fields)}"


def test_a_state_is_read_back_and_forgotten(tmp_path: Path) -> None:
    save(tmp_path / "a", STATE)
    assert load(tmp_path / "a") == STATE
    assert list(all_states(tmp_path)) == [(tmp_path / "a", STATE)]
    forget(tmp_path / "a")
    forget(tmp_path / "a")
    assert load(tmp_path / "a") is None
    assert list(all_states(tmp_path)) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"registry": 1}'])
def test_a_damaged_state_counts_as_nothing(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "state.json").write_text(text)
    assert load(folder) is None
    assert list(all_states(tmp_path)) == []


def test_without_proc_ps_tells_the_birth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_PROC", tmp_path)
    assert birth(7, ps("S    Tue Nov 24  03:48:11 2026\n")) == "Tue Nov 24 03:48:11 2026"
    assert birth(7, ps("Z+   Tue Nov 24 03:48:11 2026\n")) == ""
    assert birth(7, ps("", 1)) == ""


@pytest.mark.parametrize("status", ["Z", "X"])
def test_a_dead_process_that_nobody_collected_has_no_birth(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: str
) -> None:
    monkeypatch.setattr(module, "_PROC", tmp_path)
    for name, text in {
        "self/stat": "",
        "7/stat": stat(7, status, threads=1),
        "8/stat": stat(8, "S", threads=20),
        "9/stat": stat(9, status, threads=20),
        "sys/kernel/random/boot_id": "boot\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert birth(7, ps("")) == ""
    assert birth(8, ps("")) == "boot/22"
    # Threads that still end hold its sockets.
    assert birth(9, ps("")) == "boot/22"


def test_a_process_that_ends_between_look_and_signal_is_no_error() -> None:
    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (7, signal.SIGTERM)
        raise ProcessLookupError

    end_process(7, is_alive=lambda: True, kill=kill, sleep=lambda _: None)


def test_a_state_with_another_number_than_was_written_counts_as_nothing(tmp_path: Path) -> None:
    save(tmp_path / "a", STATE)
    path = tmp_path / "a" / "state.json"
    path.write_bytes(path.read_bytes().replace(str(STATE.pid).encode(), b"99"))
    assert load(tmp_path / "a") is None


def test_a_directory_in_the_place_of_a_state_counts_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "a" / "state.json" / "x").mkdir(parents=True)
    assert load(tmp_path / "a") is None
    save(tmp_path / "a", STATE)
    assert load(tmp_path / "a") == STATE
