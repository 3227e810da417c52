"""Locks: who waits, who is told at once, and what a file system without them means."""

from __future__ import annotations

import errno
import fcntl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from buildkit.errors import EnvironmentMissingError
from buildkit.locks import lock, try_lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "a.lock"


def test_an_attempt_takes_a_lock_when_it_is_free_and_gives_it_back(path: Path) -> None:
    with try_lock(path) as first, try_lock(path) as second:
        assert (first(), second()) == (True, False)
    with try_lock(path) as third:
        assert third()


def test_who_holds_a_lock_alone_is_waited_for(path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with lock(path, shared=True):
            entered.set()

    with ThreadPoolExecutor() as pool:
        with lock(path):
            pool.submit(enter)
            assert not entered.wait(0.1)
        assert entered.wait(10)


def test_those_that_share_a_lock_keep_out_who_wants_it_alone(path: Path) -> None:
    with lock(path, shared=True), lock(path, shared=True), try_lock(path) as attempt:
        assert not attempt()
    with try_lock(path) as attempt:
        assert attempt()


def test_a_block_that_fails_gives_the_lock_back(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock(path):
        raise ZeroDivisionError
    with try_lock(path) as attempt:
        assert attempt()


def test_a_directory_in_its_place_is_removed(path: Path) -> None:
    (path / "with").mkdir(parents=True)
    with lock(path):
        assert path.is_file()


def test_a_file_system_without_locks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(EnvironmentMissingError, match=r"a\.lock cannot be locked") as caught,
        lock(path),
    ):
        pytest.fail("it was taken")
    assert caught.value.details == "No locks available"
    with try_lock(path) as attempt, pytest.raises(EnvironmentMissingError):
        attempt()
