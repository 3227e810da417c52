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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from buildkit.errors import BuildError, CancelledError, EnvironmentMissingError

GRACE_SECONDS = 3.0
"""How long a cancelled process group may take to end before it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A finished child: what it was, how it ended, what it wrote."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def output(self) -> str:
        """Standard error, or standard output where that is empty, as text."""
        return (self.stderr or self.stdout).decode("utf-8", "replace").strip()

    def check(self, brief: str) -> Completed:
        """Return self if the child succeeded.

        Raises:
            BuildError: it did not; details hold its own words.
        """
        if self.returncode != 0:
            raise BuildError(brief, details=self.output or f"exit status {self.returncode}")
        return self


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
            stdout, stderr = _communicate(child, stdin)
        finally:
            with self._lock:
                self._live.discard(child)
        if self._cancelled:
            raise CancelledError(f"{Path(argv[0]).name} was stopped")
        done = Completed(
            argv=tuple(argv),
            returncode=child.returncode,
            stdout=stdout,
            stderr=stderr,
            seconds=time.monotonic() - started,
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
        return child


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
