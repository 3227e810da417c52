"""The tasks of this project: the toolkit's own, and what its developers need."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from buildkit.tasks import make_namespace

_PYTHON = shlex.quote(sys.executable)

# A file's tests share what is dear, so they stay together; in their own order, the short ones come
# last and end together.
_SIDE_BY_SIDE = "-n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder"


@task(help={"all": "the slow tests too", "only": "an expression for pytest's -k"})
def test(context: Context, all: bool = False, only: str = "") -> None:  # noqa: A002 - the flag's name
    """Run the checks and the tests."""
    lint(context)
    arguments = ["--all"] if all else []
    arguments += ["-k", only] if only else []
    context.run(f"{_PYTHON} -m pytest {_SIDE_BY_SIDE} {shlex.join(arguments)}", echo=True)


@task
def lint(context: Context) -> None:
    """Check style, types and import layers."""
    for command in ("ruff check", "ruff format --check", "mypy"):
        context.run(f"{_PYTHON} -m {command}", echo=True)
    context.run(shlex.quote(str(Path(sys.executable).with_name("lint-imports"))), echo=True)


@task(
    help={"rounds": "how often each tool takes its turn", "scale": "a divisor of all sizes"},
    auto_shortflags=False,
)
def images(context: Context, rounds: int = 3, scale: int = 1) -> None:
    """Measure image builds beside crane, ko and docker; writes out/bench/images.json."""
    del context
    from tests.bench.report import report_images  # noqa: PLC0415 - needs the development tools

    report_images(Path(__file__).parent / "out" / "bench", rounds=rounds, scale=scale)


@task(
    help={
        "cold": "also from empty caches, which takes a quarter of an hour",
        "rounds": "how often each tool takes its turn",
        "scale": "a divisor of the module's size",
        "folder": "where build.json and build.svg go",
    },
    auto_shortflags=False,
)
def build(
    context: Context,
    cold: bool = False,
    rounds: int = 5,
    scale: int = 1,
    folder: str = "docs/benchmarks",
) -> None:
    """Measure compiling beside `go build` and GoReleaser; writes a chart into docs/benchmarks."""
    del context
    from tests.bench.report import report_build  # noqa: PLC0415 - needs the development tools

    root = Path(__file__).parent
    tools = root / "out" / "bench"
    report_build(root / folder, tools, rounds=rounds, scale=scale, cold=cold)


namespace = make_namespace()
namespace.add_task(test)
namespace.add_task(lint)
namespace.add_collection(Collection("bench", images, build))
