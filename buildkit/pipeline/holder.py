"""One run at a time on an ``out/`` directory; a second one waits, and says for whom."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.digest import canonical_json
from buildkit.locks import try_lock
from buildkit.store import discard, read_sealed, write_sealed

_FIRST_SECONDS = 0.3
_AGAIN_SECONDS = 1.0
_POLL_SECONDS = 0.05


class Holder(Struct, frozen=True, kw_only=True):
    """The run that uses an ``out/`` directory."""

    process: int
    command: str
    since: int
    """When it began, in seconds since 1970."""

    def __str__(self) -> str:
        """Return who it is, for the end of a sentence."""
        clock = time.strftime("%H:%M:%S", time.localtime(self.since))
        return f"process {self.process} ({self.command}), which began at {clock}"


@contextmanager
def only_run(state: Path, argv: Sequence[str], say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of an ``out/`` directory, waiting for its holder if there is one.

    Args:
        state: the directory of the records.
        argv: the command line of this run, which others will be told.
        say: takes for whom it waits, each time that is another run.
    """
    note = state / "holder.json"
    with try_lock(state / "lock") as attempt:
        _wait(attempt, state, say)
        try:
            command = shlex.join([Path(argv[0]).name, *argv[1:]])
            holder = Holder(process=os.getpid(), command=command, since=int(time.time()))
            # After a power cut nobody holds the lock, and nobody reads this.
            write_sealed(note, canonical_json(holder), sync=False)
            yield
        finally:
            discard(note)


def read_holder(state: Path) -> Holder | None:
    """Return who holds the lock; None where it has not said so yet, or has been killed."""
    try:
        holder = decode_json(read_sealed(state / "holder.json") or b"", Holder)
    except (OSError, msgspec.MsgspecError):
        return None
    return holder if _is_alive(holder.process) else None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _wait(attempt: Callable[[], bool], state: Path, say: Callable[[str], None]) -> None:
    said, due = "", time.monotonic() + _FIRST_SECONDS
    while not attempt():
        if time.monotonic() >= due:
            who = str(read_holder(state) or "another run")
            if who != said:
                say(f"waiting for {who}: both use {state.parent}")
            said, due = who, time.monotonic() + _AGAIN_SECONDS
        time.sleep(_POLL_SECONDS)
