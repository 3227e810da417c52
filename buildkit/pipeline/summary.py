"""What a CI system shows and hands on of a run: its closing table, and what became of sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from buildkit.execute.outcomes import Outcome
from buildkit.pipeline.report import RESULT_COLUMNS, human_size, result_rows, unit_json
from buildkit.plan.graph import Graph

CHANGE = "change"
_NUMBERS = frozenset({"time", "size", CHANGE})


def write_run_outputs(
    environ: Mapping[str, str], title: str, outcomes: Sequence[Outcome], graph: Graph
) -> None:
    """Add a run to the files that GitHub Actions names, where it does.

    The output ``artifacts`` has an entry of one line of JSON for everything that there is now.
    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    if path := environ.get("GITHUB_OUTPUT"):
        append(Path(path), f"artifacts={msgspec.json.encode(run_artifacts(outcomes)).decode()}\n")
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        rows = result_rows(outcomes, graph)
        text = f"## {title}\n\n{verdicts(rows)}\n\n{markdown(RESULT_COLUMNS, rows)}"
        append(Path(path), text)


def run_artifacts(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Return what a run made or found up to date, as later steps read it."""
    return [
        {
            **{key: unit_json(outcome.unit)[key] for key in ("id", "kind", "name", "platform")},
            "status": str(outcome.status),
            "digest": outcome.artifact.digest,
            "size": outcome.artifact.size,
            "path": str(outcome.artifact.path or ""),
            "references": list(outcome.artifact.reference),
        }
        for outcome in outcomes
        if outcome.artifact is not None
    ]


def verdicts(rows: Iterable[Sequence[str]]) -> str:
    """Return how many units ended in each way: ``3 done, 12 cached``."""
    results = [row[RESULT_COLUMNS.index("result")].partition(",")[0] for row in rows]
    return ", ".join(f"{results.count(name)} {name}" for name in dict.fromkeys(results))


def with_changes(
    rows: Iterable[Sequence[str]], name: Callable[[Sequence[str]], str], changes: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Add to each row how the size of what it names has changed.

    Args:
        rows: of a table.
        name: returns what a row is about.
        changes: by that name; what is not there has none.
    """
    return [(*row, changes.get(name(row), "")) for row in rows]


def size_changes(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, str]:
    """Return how each size has changed, as ``+1.2 kB (+3.4 %)``; what was not there is new."""
    return {name: _change(size, before.get(name)) for name, size in now.items()}


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as GitHub's Markdown has it, numbers to the right."""
    ends = ("---:" if column in _NUMBERS else "---" for column in columns)
    lines = [tuple(columns), tuple(ends)]
    lines += [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def append(path: Path, text: str) -> None:
    """Add to a file that the CI system reads when the step ends."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def _change(now: int, before: int | None) -> str:
    if before is None:
        return "new"
    if now == before:
        return "same"
    sign = "+" if now > before else "-"
    share = f" ({sign}{abs(now - before) * 100 / before:.1f} %)" if before else ""
    return f"{sign}{human_size(abs(now - before))}{share}"
