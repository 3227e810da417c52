"""Child processes: the only module that starts any.

Every child runs in a process group of its own, so that cancelling ends a
compiler together with whatever it started.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from buildkit.errors import (
    BuildError,
    CancelledError,
    EnvironmentMissingError,
)
from buildkit.memory import PROC, group_memory, parse_groups

SAMPLE_SECONDS = 0.25
"""How often the memory of children is looked at."""

GRACE_SECONDS = 3.0
"""How long a cancelled process group may take to end before it is killed."""


class OutOfMemoryError(EnvironmentMissingError):
    """The kernel ended a child, most likely since there was no memory left for it."""


class Completed(Struct, frozen=True, kw_only=True):
    """A finished child: what it was, how it ended, what it wrote."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float
    peak_memory: int = 0
    """The most that its process group was seen to hold, in bytes; 0 where it ended too soon."""

    @property
    def was_killed(self) -> bool:
        """Whether it, or as Go says a child of its own, got a SIGKILL that we did not send."""
        return self.returncode == -signal.SIGKILL or (
            self.returncode != 0 and b"signal: killed" in self.stderr
        )

    @property
    def met_full_disk(self) -> bool:
        """Whether it says that a disk could hold no more, in C's words or in Go's."""
        return self.returncode != 0 and b"no space left on device" in self.stderr.lower()

    @property
    def output(self) -> str:
        """Standard error, or standard output where that is empty, as text."""
        return (self.stderr or self.stdout).decode("utf-8", "replace").strip()

    def check(self, brief: str) -> Completed:
        """Return self if the child succeeded.

        Raises:
            OutOfMemoryError: the kernel ended it.
            EnvironmentMissingError: a disk was full.
            BuildError: it did not succeed; details hold its own words.
        """
        if self.was_killed:
            raise out_of_memory(brief, self.output)
        if self.met_full_disk:
            raise out_of_space(brief, self.output)
        if self.returncode != 0:
            raise BuildError(brief, details=self.output or f"exit status {self.returncode}")
        return self


def out_of_memory(brief: str, output: str) -> OutOfMemoryError:
    """Return the error of a child that was killed: what it was, and its own last words."""
    return OutOfMemoryError(
        f"{brief}: a process was killed, most likely for lack of memory",
        details=output,
        resolution="--jobs 1 or more memory helps.",
    )


def out_of_space(brief: str, output: str) -> EnvironmentMissingError:
    """Return the error of a child that met a full disk: what it was, and its own words."""
    return EnvironmentMissingError(
        f"{brief}: there is no space left on a disk",
        details=output,
        resolution="Free some there and run it again; what is done is kept.",
    )


class Runner(Protocol):
    """What builders need of this module; tests pass a fake."""

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: bytes = b"",
        log: Path | None = None,
    ) -> Completed:
        """Run one child to its end and return how it ended."""
        ...


class Processes:
    """Runs children and can end all of them at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[subprocess.Popen[bytes]] = set()
        self._meter = _Meter()
        self._cancelled = False

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: bytes = b"",
        log: Path | None = None,
    ) -> Completed:
        """Run ``argv`` without a shell and wait for it.

        Args:
            argv: program and arguments.
            env: the whole environment of the child; nothing is inherited.
            cwd: its working directory.
            stdin: what it reads.
            log: a file that gets the command line and both streams.

        Raises:
            EnvironmentMissingError: the program cannot be started.
            CancelledError: :meth:`cancel` was called before or meanwhile.
        """
        started = time.monotonic()
        child = self._start(argv, env, cwd)
        try:
            with self._meter.watching(child.pid) as peak:
                stdout, stderr = _communicate(child, stdin)
        finally:
            with self._lock:
                self._live.discard(child)
        if self._cancelled:
            raise CancelledError(f"{Path(argv[0]).name} was stopped")
        if child.returncode == -signal.SIGKILL:
            # What it started would go on and take the memory of the next try.
            _signal_group(child, signal.SIGKILL)
        done = Completed(
            argv=tuple(argv),
            returncode=child.returncode,
            stdout=stdout,
            stderr=stderr,
            seconds=time.monotonic() - started,
            peak_memory=peak.held,
        )
        if log is not None:
            _write_log(log, done)
        return done

    def cancel(self) -> None:
        """End every live process group: SIGTERM, then SIGKILL after a grace time."""
        with self._lock:
            self._cancelled = True
            live = tuple(self._live)
        _end(live)

    def _start(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: Path
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._cancelled:
                raise CancelledError(f"{Path(argv[0]).name} was not started: the run is ending")
            try:
                child = subprocess.Popen(
                    list(argv),
                    env=dict(env),
                    cwd=cwd,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                raise EnvironmentMissingError(
                    f"cannot start {argv[0]}", details=error.strerror or str(error)
                ) from error
            self._live.add(child)
        _offer_first(child.pid)
        return child


class _Peak:
    """The most that one process group was seen to hold, in bytes."""

    def __init__(self) -> None:
        self.held = 0


class _Meter:
    """Looks every now and then how much memory the watched process groups hold.

    Its thread lives as long as something is watched.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._peaks: dict[int, _Peak] = {}
        self._is_running = False

    @contextmanager
    def watching(self, group: int) -> Iterator[_Peak]:
        """Watch a process group during the block."""
        with self._lock:
            peak = self._peaks[group] = _Peak()
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._watch, daemon=True).start()
        try:
            yield peak
        finally:
            with self._lock:
                del self._peaks[group]

    def _watch(self) -> None:
        while True:
            time.sleep(SAMPLE_SECONDS)
            with self._lock:
                if not self._peaks:
                    self._is_running = False
                    return
            sizes = _group_memory()
            with self._lock:
                for group, peak in self._peaks.items():
                    peak.held = max(peak.held, sizes.get(group, 0))


def _group_memory() -> dict[int, int]:
    if (PROC / "self").exists():
        return group_memory()
    return ps_group_memory()


def ps_group_memory() -> dict[int, int]:
    """Return the resident memory of every process group where there is no /proc."""
    # In one -o with commas all of it would be the first column's title, says POSIX.
    command = ["/bin/ps", "-A", "-o", "pgid=", "-o", "rss="]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return parse_groups(done.stdout)


def spawn_detached(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Start a process that outlives this one and return its id.

    A shell starts it and ends, so it belongs to init: it never becomes a zombie
    of ours, no terminal's signals reach it, and its end leaves no trace here.
    A program that cannot be started says so in the log.

    Args:
        argv: program and arguments.
        env: its whole environment.
        cwd: its working directory.
        log: a file that gets both streams, replaced if it exists.

    Raises:
        EnvironmentMissingError: there is no shell, or the log cannot be written.
    """
    script = 'log=$1; shift; : >"$log" || exit; "$@" </dev/null >>"$log" 2>&1 & echo $!'
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", script, "sh", str(log), *argv],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            start_new_session=True,
        )
        return int(done.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise EnvironmentMissingError(
            f"cannot start {argv[0]} in the background", details=str(error)
        ) from error


def _offer_first(process: int) -> None:
    """Let the kernel end a child, or what it starts, before us: we can tell of it and go on."""
    with suppress(OSError):
        # proc_pid_oom_score_adj(5); children inherit it, and everybody may raise it.
        (PROC / str(process) / "oom_score_adj").write_text("500", encoding="ascii")


def _communicate(child: subprocess.Popen[bytes], stdin: bytes) -> tuple[bytes, bytes]:
    with child:
        try:
            return child.communicate(stdin)
        except BaseException:
            # A terminal's Ctrl-C does not reach the child, whose group is its own.
            _end((child,))
            raise


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        _signal_group(child, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(0.02)
    for child in children:
        _signal_group(child, signal.SIGKILL)


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The group may outlive its leader, so the leader's own state says nothing here.
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


def _write_log(path: Path, done: Completed) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"$ {shlex.join(done.argv)}\n".encode()
    tail = f"\nexit status {done.returncode} after {done.seconds:.1f} s\n".encode()
    path.write_bytes(head + done.stdout + done.stderr + tail)
