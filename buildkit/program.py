"""Invoke's program, with what it says of a command line in the three parts of our errors.

``inv`` starts it as ``python -m buildkit.program``, ``meshwright`` by
:func:`buildkit.tasks.main`; plain ``invoke`` remains Invoke's own.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import invoke
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from buildkit.errors import UsageError
from buildkit.goals import ErrorExit

_UNKNOWN = re.compile(r"No idea what (['\"])(.*)\1 is!", re.DOTALL)
_ARGUMENT = re.compile(r"Flag <\w+: ([\w-]+).*>")
_FORMATS = ("flat", "nested", "json")
_NO_NUMBER = "invalid literal for int()"


class MeshProgram(Program):
    """Invoke's program; what it cannot parse is a :class:`UsageError`."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Read Invoke's own flags, before the tasks."""
        with self._explained():
            super().parse_core(argv)

    def parse_collection(self) -> None:
        """Load the tasks."""
        with self._explained():
            super().parse_collection()

    def parse_tasks(self) -> None:
        """Read the tasks and their flags."""
        with self._explained():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        """Print what ``--list``, ``--help`` and completion ask for, and end."""
        with self._explained():
            self._check_format(self.args["list-format"].value)
            super().parse_cleanup()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with ErrorExit():
            try:
                yield
            except ParseError as error:
                raise self._unparsed(error) from error
            except Exit as end:
                if end.message:
                    raise UsageError(end.message.rstrip("!")) from end
                raise
            except ValueError as error:
                # Of Invoke's own flags some take a number, which it converts without a look.
                if str(error).startswith(_NO_NUMBER):
                    raise UsageError(f"a number is needed, not {str(error).split()[-1]}") from error
                raise
            finally:
                # While somebody handles it that nobody reads any more.
                sys.stdout.flush()

    def _unparsed(self, error: ParseError) -> UsageError:
        task = error.context.name if error.context else None
        told = f"`invoke --help {task}` shows what fits." if task else "`invoke --list` shows all."
        match = _UNKNOWN.fullmatch(str(error))
        if match is None:
            return UsageError(_ARGUMENT.sub(r"--\1", str(error)).rstrip("!"), resolution=told)
        word = match[2]
        if not word.startswith("-"):
            return UsageError(
                f"there is no task '{word}'",
                details=_meant(word, [str(item.name) for item in self.collection.to_contexts()]),
                resolution="`invoke --list` shows all.",
            )
        flags = [*self.initial_context.flags, *(error.context.flags if error.context else ())]
        owner = f"`{task}` has no flag" if task else "there is no flag"
        return UsageError(f"{owner} '{word}'", details=_meant(word, flags), resolution=told)

    def _check_format(self, name: str) -> None:
        if name not in _FORMATS:
            raise UsageError(
                f"--list-format {name}: there is no such format",
                details=f"known: {', '.join(_FORMATS)}",
            )


def _meant(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=3)
    return f"did you mean {' or '.join(repr(name) for name in near)}?" if near else ""


def main() -> None:
    """Run the tasks of the project that ``--search-root`` names, as ``invoke`` does."""
    MeshProgram(
        name="Invoke",
        binary="inv[oke]",
        binary_names=["invoke", "inv"],
        version=invoke.__version__,
    ).run()


if __name__ == "__main__":
    main()
