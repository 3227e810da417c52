"""One run at a time: the second is told for whom it waits, and comes to its turn."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from buildkit.pipeline.holder import only_run, read_holder

NAMES = ("/usr/bin/invoke", "build", "--only", "a b")


class Second:
    """A run in another thread, and what it was told."""

    def __init__(self, state: Path) -> None:
        self.said: list[str] = []
        self.told, self.inside = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(state,))
        self._thread.start()

    def _run(self, state: Path) -> None:
        with only_run(state, ("invoke", "docker"), self._say):
            self.inside.set()

    def _say(self, text: str) -> None:
        self.said.append(text)
        self.told.set()

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "out" / ".buildkit"


def test_a_run_alone_is_told_nothing_and_leaves_no_note(state: Path) -> None:
    said: list[str] = []
    with only_run(state, NAMES, said.append):
        holder = read_holder(state)
        assert holder is not None
        assert (holder.process, holder.command) == (os.getpid(), "invoke build --only 'a b'")
        assert abs(holder.since - time.time()) < 60
    assert said == []
    assert read_holder(state) is None


def test_a_second_run_is_told_process_command_time_and_place(state: Path) -> None:
    with only_run(state, NAMES, lambda _: None):
        holder = read_holder(state)
        second = Second(state)
        assert second.told.wait(10)
        assert not second.inside.is_set()
    second.join()
    assert second.inside.is_set()
    assert holder is not None
    assert second.said == [f"waiting for {holder}: both use {state.parent}"]
    clock = time.strftime("%H:%M:%S", time.localtime(holder.since))
    words = f"process {os.getpid()} (invoke build --only 'a b'), which began at {clock}"
    assert str(holder) == words


def test_a_run_that_fails_lets_the_next_one_in(state: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_run(state, NAMES, lambda _: None):
        raise ZeroDivisionError
    second = Second(state)
    second.join()
    assert second.said == []


def test_a_holder_that_has_not_said_who_it_is_is_another_run(state: Path) -> None:
    with only_run(state, NAMES, lambda _: None):
        (state / "holder.json").write_text("{")
        second = Second(state)
        assert second.told.wait(10)
    second.join()
    assert second.said[0] == f"waiting for another run: both use {state.parent}"


def test_what_a_killed_run_left_is_not_believed(state: Path) -> None:
    # Beyond any process id: 2**22 is the most that Linux gives.
    state.mkdir(parents=True)
    for process in (2**22 + 1, 2**80):
        text = f'{{"process": {process}, "command": "x", "since": 0}}'
        (state / "holder.json").write_text(text)
        assert read_holder(state) is None


@pytest.mark.parametrize("name", ["lock", "holder.json"])
def test_a_directory_in_the_place_of_its_files_is_removed(state: Path, name: str) -> None:
    (state / name / "x").mkdir(parents=True)
    with only_run(state, NAMES, lambda _: None):
        assert read_holder(state) is not None
