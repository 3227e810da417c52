"""What CI gets of any run: outputs and the closing table, and how sizes have changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildkit.pipeline.report import RESULT_COLUMNS, result_rows
from buildkit.pipeline.summary import (
    markdown,
    size_changes,
    verdicts,
    write_run_outputs,
)
from tests.unit.pipeline.test_report import APP, GRAPH, MADE, OUTCOMES


def test_the_output_has_everything_that_is_there_now(tmp_path: Path) -> None:
    output = tmp_path / "output"
    write_run_outputs({"GITHUB_OUTPUT": str(output)}, "mesh", OUTCOMES, GRAPH)
    (line,) = output.read_text().splitlines()
    assert json.loads(line.removeprefix("artifacts=")) == [
        {
            "id": APP.id,
            "kind": "binary",
            "name": "app",
            "platform": "linux/amd64",
            "status": "done",
            "digest": MADE.digest,
            "size": MADE.size,
            "path": "/o",
            "references": [],
        }
    ]


def test_the_summary_is_the_closing_table(tmp_path: Path) -> None:
    place = tmp_path / "summary"
    place.write_text("before\n")
    write_run_outputs({"GITHUB_STEP_SUMMARY": str(place)}, "mesh", OUTCOMES, GRAPH)
    lines = place.read_text().splitlines()
    assert lines[:2] == ["before", "## mesh"]
    assert "1 done, 1 failed, 1 aborted, 1 skipped, 1 blocked" in lines
    assert "| binary/app | linux/amd64 | done | 1.3 s | 1.2 MB | 0123456789ab |" in lines
    assert len([line for line in lines if line.startswith("| ")]) == 2 + len(OUTCOMES) + 2


def test_elsewhere_nothing_is_written(tmp_path: Path) -> None:
    write_run_outputs({}, "mesh", OUTCOMES, GRAPH)
    assert list(tmp_path.iterdir()) == []


def test_what_no_lock_vouches_for_is_counted_as_what_it_is() -> None:
    rows = result_rows(OUTCOMES, GRAPH)
    marked = [(*row[:2], f"{row[2]}, not locked", *row[3:]) for row in rows]
    assert verdicts(marked) == verdicts(rows)


def test_numbers_are_to_the_right_and_a_bar_is_no_cell() -> None:
    text = markdown(RESULT_COLUMNS, [("a|b", "", "", "", "", "")])
    assert text.splitlines()[1] == "| --- | --- | --- | ---: | ---: | --- |"
    assert text.splitlines()[2].startswith("| a\\|b |")


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [
        (1000, None, "new"),
        (1000, 1000, "same"),
        (2000, 1000, "+1.0 kB (+100.0 %)"),
        (750, 1000, "-250 B (-25.0 %)"),
        (10, 0, "+10 B"),
    ],
)
def test_a_change_is_shown_in_bytes_and_as_a_share(
    now: int, before: int | None, shown: str
) -> None:
    known = {} if before is None else {"app": before}
    assert size_changes({"app": now}, known) == {"app": shown}
