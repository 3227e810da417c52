"""Runs the measurements and shows them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from buildkit.goals import ErrorExit
from buildkit.log import Reporter, choose_reporter
from buildkit.store import atomic_write
from tests.bench.build import bench_build
from tests.bench.build_peers import ABSENT, GORELEASER_MODULE
from tests.bench.chart import draw
from tests.bench.gomodule import (
    BINARIES,
    GROUPS,
    PLATFORMS,
    REQUIRED,
    REQUIRED_VERSION,
    GoModule,
)
from tests.bench.images import bench_images
from tests.bench.results import COMPARISON_COLUMNS, COST_COLUMNS, Results
from tests.bench.surroundings import Surroundings, look


def report_images(folder: Path, *, rounds: int, scale: int) -> None:
    """Measure, print two tables, and write ``images.json`` into the directory."""
    reporter = choose_reporter(os.environ, quiet=False)
    with ErrorExit():
        folder.mkdir(parents=True, exist_ok=True)
        results = bench_images(folder, rounds=rounds, tell=reporter.note, scale=scale)
        load = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "scale": scale}
        _write(folder / "images.json", {**load, **results.document()})
        _show(reporter, results)


def report_build(docs: Path, tools: Path, *, rounds: int, scale: int, cold: bool) -> None:
    """Measure, print two tables, and write ``build.json`` and ``build.svg``.

    Args:
        docs: where the two files go.
        tools: keeps the programs that are measured, and Go's cache for the next time.
        rounds: how often each tool takes its turn.
        scale: a divisor of the module's size.
        cold: also measure with empty caches.
    """
    reporter = choose_reporter(os.environ, quiet=False)
    with ErrorExit(), tempfile.TemporaryDirectory(prefix="bench-") as name:
        place = look({"Go": _go_version(), "GoReleaser": GORELEASER_MODULE.rpartition("@v")[2]})
        module = GoModule(folder=Path(name) / "module").divided(scale)
        results = bench_build(
            tools, module, gocache=tools / "gocache", rounds=rounds, cold=cold, tell=reporter.note
        )
        write_build(docs, results, module, place)
        _show(reporter, results)
        for tool, why in ABSENT.items():
            reporter.note(f"{tool} is not measured: it {why}")


def write_build(docs: Path, results: Results, module: GoModule, place: Surroundings) -> None:
    """Write ``build.json`` and ``build.svg``; neither names a path of the machine."""
    size = _size(module)
    head = {"machine": place.document(), "module": size, "absent": ABSENT}
    chart = draw(
        results,
        title=f"{len(BINARIES)} Go programs for {len(PLATFORMS)} platforms",
        subtitle=(
            f"A generated module of {size['packages']} packages, {size['files']} files and gRPC. "
            "Medians; caches are warm unless cold; each scenario has its own scale."
        ),
        footer=str(place),
    )
    docs.mkdir(parents=True, exist_ok=True)
    _write(docs / "build.json", {**head, **results.document()})
    atomic_write(docs / "build.svg", chart.encode())


def _size(module: GoModule) -> dict[str, Any]:
    files = [path for path, _ in module.content() if path.endswith(".go")]
    return {
        "packages": len({str(Path(path).parent) for path in files}),
        "files": len(files),
        "requires": [f"{REQUIRED}@{REQUIRED_VERSION}"],
        "binaries": len(BINARIES),
        "groups": len(GROUPS),
        "platforms": list(PLATFORMS),
    }


def _show(reporter: Reporter, results: Results) -> None:
    reporter.table(COST_COLUMNS, results.rows())
    reporter.table(COMPARISON_COLUMNS, [item.row for item in results.comparisons()])


def _write(path: Path, document: dict[str, Any]) -> None:
    atomic_write(path, json.dumps(document, indent=2).encode() + b"\n")


def _go_version() -> str:
    done = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("go")
