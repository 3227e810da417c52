"""What we started, remembered so that exactly that is stopped and nothing else."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from buildkit.decoding import decode_json
from buildkit.digest import canonical_json
from buildkit.errors import EnvironmentMissingError
from buildkit.proc import Runner
from buildkit.store import discard, read_sealed, write_sealed

PATIENCE_SECONDS = 5.0
"""How long a registry may take to end before it is killed."""

_LOOK_SECONDS = 0.05
_PROC = Path("/proc")


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A registry that we started."""

    registry: str
    """Where it answers, ``localhost:5001``."""
    hub: str
    """What was asked for; differs where that port was taken."""
    kind: Literal["process", "container"]
    version: str
    pid: int = 0
    born: str = ""
    """A process id is recycled, an id together with its birth is not."""
    container: str = ""


def save(folder: Path, state: State) -> None:
    """Remember a registry in its folder."""
    write_sealed(folder / "state.json", canonical_json(state))


def forget(folder: Path) -> None:
    """Forget a registry; its data stays."""
    discard(folder / "state.json")


def load(folder: Path) -> State | None:
    """Return what a folder remembers; a damaged file counts as nothing."""
    try:
        return decode_json(read_sealed(folder / "state.json") or b"", State)
    except msgspec.MsgspecError:
        return None


def all_states(root: Path) -> Iterator[tuple[Path, State]]:
    """Yield every remembered registry and its folder, by name."""
    for path in sorted(root.glob("*/state.json")):
        if state := load(path.parent):
            yield path.parent, state


def birth(pid: int, runner: Runner) -> str:
    """Return when a process was started, in a form that only it has; empty if it is gone."""
    try:
        return _birth_linux(pid) if _PROC.joinpath("self/stat").exists() else _birth_ps(pid, runner)
    except (OSError, EnvironmentMissingError):
        return ""


def end_process(
    pid: int,
    *,
    is_alive: Callable[[], bool],
    kill: Callable[[int, int], None],
    sleep: Callable[[float], None],
) -> None:
    """End a process politely, then by force.

    Args:
        pid: the process.
        is_alive: tells whether the id still is that process; asked before every signal.
        kill: sends a signal.
        sleep: waits between looks.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not is_alive():
            return
        try:
            kill(pid, number)
        except ProcessLookupError:
            return
        for _ in range(int(PATIENCE_SECONDS / _LOOK_SECONDS)):
            if not is_alive():
                return
            sleep(_LOOK_SECONDS)


def _birth_linux(pid: int) -> str:
    # proc_pid_stat(5): the name, in parentheses, may hold anything; then state
    # is field 3 and starttime field 22, in ticks since boot.
    fields = _PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
    boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
    # A process is a zombie as soon as its first thread is one; while others (num_threads is
    # field 20) still end, its sockets are open.
    ended = fields[0] in {"Z", "X"} and int(fields[17]) <= 1
    return "" if ended else f"{boot}/{fields[19]}"


def _birth_ps(pid: int, runner: Runner) -> str:
    env = {"PATH": "/bin:/usr/bin", "LC_ALL": "C", "TZ": "UTC"}
    done = runner.run(("ps", "-o", "stat=,lstart=", "-p", str(pid)), env=env, cwd=Path("/"))
    status, _, started = done.stdout.decode().strip().partition(" ")
    return "" if done.returncode or status.startswith("Z") else re.sub(r"\s+", " ", started.strip())
