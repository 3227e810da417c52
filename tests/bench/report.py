"""Runs the measurements and shows them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from buildkit.goals import ErrorExit
from buildkit.log import choose_reporter
from buildkit.store import atomic_write
from tests.bench.images import bench_images
from tests.bench.results import COMPARISON_COLUMNS, COST_COLUMNS


def report_images(folder: Path, *, rounds: int, scale: int) -> None:
    """Measure, print two tables, and write ``images.json`` into the directory."""
    reporter = choose_reporter(os.environ, quiet=False)
    with ErrorExit():
        folder.mkdir(parents=True, exist_ok=True)
        results = bench_images(folder, rounds=rounds, tell=reporter.note, scale=scale)
        load = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "scale": scale}
        document = json.dumps({**load, **results.document()}, indent=2)
        atomic_write(folder / "images.json", document.encode() + b"\n")
        reporter.table(COST_COLUMNS, results.rows())
        reporter.table(COMPARISON_COLUMNS, [item.row for item in results.comparisons()])
