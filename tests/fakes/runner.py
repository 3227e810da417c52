"""A runner that starts nothing: it notes what was asked for and answers from a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildkit.proc import Completed


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One child that would have been started."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    stdin: bytes = b""


Answer = Callable[[Call], tuple[int, bytes, bytes]]
"""Returns exit status, standard output and standard error; may write files as the child would."""


class FakeRunner:
    """Plays :class:`buildkit.proc.Runner`."""

    def __init__(self, answer: Answer) -> None:
        self.calls: list[Call] = []
        self._answer = answer

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: bytes = b"",
        log: Path | None = None,
    ) -> Completed:
        """Answer at once."""
        del log
        call = Call(argv=tuple(argv), env=dict(env), cwd=cwd, stdin=stdin)
        self.calls.append(call)
        returncode, stdout, stderr = self._answer(call)
        return Completed(
            argv=call.argv, returncode=returncode, stdout=stdout, stderr=stderr, seconds=0.0
        )


def refuse(call: Call) -> tuple[int, bytes, bytes]:
    """Fail the test: nothing was to be started."""
    message = f"started {call.argv}"
    raise AssertionError(message)
