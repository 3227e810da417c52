"""The closing table, the plan, and both as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from buildkit.errors import BuildkitError, EnvironmentMissingError
from buildkit.execute.outcomes import Outcome, Status
from buildkit.log import Reporter
from buildkit.plan.graph import Graph
from buildkit.plan.planner import Plan
from buildkit.plan.settings import Settings
from buildkit.plan.units import (
    Artifact,
    Download,
    LoadImage,
    PushIndex,
    SaveImage,
    Unit,
    WriteLayout,
)
from buildkit.plan.unlocked import unlocked
from buildkit.reference import Reference

RESULT_COLUMNS = ("unit", "platform", "result", "time", "size", "digest")
UNLOCKED = ", not locked"
"""Stands in tables after what holds a file that no lock vouches for."""
PLAN_COLUMNS = ("verdict", "unit", "reason")


def result_rows(outcomes: Sequence[Outcome], graph: Graph) -> list[tuple[str, ...]]:
    """Return the closing table's rows, in the plan's order; what does not exist comes last."""
    marked = unlocked(outcome.unit for outcome in outcomes)
    rows: list[tuple[str, ...]] = [
        (
            f"{outcome.unit.kind}/{outcome.unit.name}",
            str(outcome.unit.platform or ""),
            f"{outcome.status}{UNLOCKED if outcome.unit.id in marked else ''}",
            f"{outcome.seconds:.1f} s" if outcome.seconds else "",
            human_size(outcome.artifact.size) if outcome.artifact else "",
            outcome.artifact.digest.removeprefix("sha256:")[:12] if outcome.artifact else "",
        )
        for outcome in outcomes
    ]
    for status, identity, _ in _others(graph):
        name, _, platform = identity.partition("@")
        rows.append((name, platform, status, "", "", ""))
    return rows


def plan_rows(plan: Plan, graph: Graph) -> list[tuple[str, ...]]:
    """Return the plan's rows: verdict, unit id, reason."""
    marked = plan.unlocked
    rows: list[tuple[str, ...]] = [
        (
            str(step.verdict),
            step.unit.id,
            f"{step.reason}{UNLOCKED if step.unit.id in marked else ''}",
        )
        for step in plan.steps
    ]
    return rows + other_steps(graph)


def other_steps(graph: Graph) -> list[tuple[str, ...]]:
    """Return verdict, id and reason of what is no unit of the graph."""
    return [(_VERDICTS[status], name, reason) for status, name, reason in _others(graph)]


def distinct_errors(outcomes: Sequence[Outcome]) -> list[BuildkitError]:
    """Return each error once; details that an earlier one has, such as Go's words, are left out.

    The first one is to be printed last, where it is seen.
    """
    found: dict[str, BuildkitError] = {}
    shown: dict[str, str] = {}
    for error in (outcome.error for outcome in outcomes if outcome.error is not None):
        if str(error) in found:
            continue
        same = shown.setdefault(error.details, error.brief) if error.details else error.brief
        found[str(error)] = error if same == error.brief else _as_before(error, same)
    return list(found.values())


def _as_before(error: BuildkitError, same: str) -> BuildkitError:
    details = f"For the same reason as: {same}"
    return type(error)(error.brief, details=details, resolution=error.resolution)


def waiting(
    outcomes: Sequence[Outcome], graph: Graph, *, rest_is_done: bool
) -> tuple[BuildkitError, ...]:
    """Return the error that names every unit which waits for something missing, if one does."""
    blocked = [(o.unit.id, o.reason) for o in outcomes if o.status is Status.BLOCKED]
    blocked += graph.blocked
    if not blocked:
        return ()
    advice = "mend that and run the same command again."
    error = EnvironmentMissingError(
        f"{len(blocked)} units wait for what is missing here",
        details="\n".join(f"{identity}: {reason}" for identity, reason in blocked),
        resolution=f"Everything else is done; {advice}" if rest_is_done else advice.capitalize(),
    )
    return (error,)


def show_settings(settings: Settings, reporter: Reporter) -> None:
    """Print what was decided for the call, and where each of it comes from."""
    platforms = ", ".join(map(str, settings.platforms))
    reporter.note(f"version    {settings.version.text} ({settings.version.origin})")
    for destination in settings.destinations:
        tags = ", ".join(f"{tag.text} ({tag.origin})" for tag in destination.tags)
        reporter.note(f"hub        {destination.hub.text} ({destination.hub.origin})")
        reporter.note(f"tags       {tags}")
        reporter.note(
            f"push       {'yes' if destination.push else 'no'} ({destination.push_origin})"
        )
    reporter.note(f"engine     {settings.engine} ({settings.engine_origin})")
    reporter.note(f"platforms  {platforms} ({settings.platform_origin})")
    if settings.variants:
        reporter.note(f"variants   {', '.join(settings.variants)} ({settings.variant_origin})")
    for name, value in settings.given:
        reporter.note(f"{name:<10} {value.text} ({value.origin})")


def plan_json(
    plan: Plan, graph: Graph, settings: Settings, details: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the plan as one JSON document; ``details`` has more to say of units, by id."""
    marked = plan.unlocked
    units = [
        {
            **unit_json(step.unit),
            "verdict": str(step.verdict),
            "reason": step.reason,
            "unlocked": list(marked.get(step.unit.id, ())),
            **details.get(step.unit.id, {}),
        }
        for step in plan.steps
    ]
    units += [
        {"id": name, "verdict": v, "reason": reason} for v, name, reason in other_steps(graph)
    ]
    return {**settings_json(settings), "notes": list(plan.notes), "units": units}


def result_json(outcomes: Sequence[Outcome], graph: Graph, settings: Settings) -> dict[str, Any]:
    """Return the results as one JSON document."""
    marked = unlocked(outcome.unit for outcome in outcomes)
    units = [
        {
            **unit_json(outcome.unit),
            "status": str(outcome.status),
            "reason": outcome.reason,
            "seconds": round(outcome.seconds, 3),
            "unlocked": list(marked.get(outcome.unit.id, ())),
            **_artifact(outcome.artifact),
        }
        for outcome in outcomes
    ]
    units += [
        {"id": identity, "status": status, "reason": reason}
        for status, identity, reason in _others(graph)
    ]
    return {**settings_json(settings), "units": units}


def print_json(document: dict[str, Any]) -> None:
    """Print one document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, sort_keys=True) + "\n")


def human_size(size: int) -> str:
    """Return a size in decimal units, as docker images prints it."""
    if size < _KILO:
        return f"{size} B"
    value = size / _KILO
    for unit in ("kB", "MB"):
        if value < _KILO:
            return f"{value:.1f} {unit}"
        value /= _KILO
    return f"{value:.2f} GB"


_KILO = 1000
_VERDICTS = {"skipped": "SKIP", "blocked": "BLOCKED"}


def _others(graph: Graph) -> list[tuple[str, str, str]]:
    """Return status, id and reason of what is no unit of the graph."""
    found = [("skipped", identity, reason) for identity, reason in graph.missing]
    return found + [("blocked", identity, reason) for identity, reason in graph.blocked]


def settings_json(settings: Settings) -> dict[str, Any]:
    """Return what was decided, and where it came from, as a part of a JSON document."""
    return {
        "version": {"value": settings.version.text, "origin": settings.version.origin},
        "destinations": [
            {
                "hub": {"value": item.hub.text, "origin": item.hub.origin},
                "tags": [{"value": tag.text, "origin": tag.origin} for tag in item.tags],
                "push": item.push,
                "push_origin": item.push_origin,
            }
            for item in settings.destinations
        ],
        "platforms": [str(platform) for platform in settings.platforms],
        "platform_origin": settings.platform_origin,
        "variants": list(settings.variants),
        "variant_origin": settings.variant_origin,
        "engine": str(settings.engine),
        "engine_origin": settings.engine_origin,
        "given": [
            {"name": name, "value": value.text, "origin": value.origin}
            for name, value in settings.given
        ],
        "out": str(settings.out),
    }


def unit_json(unit: Unit) -> dict[str, Any]:
    """Return what a unit is as a part of a JSON document."""
    found: dict[str, Any] = {
        "id": unit.id,
        "kind": str(unit.kind),
        "name": unit.name,
        "platform": str(unit.platform or ""),
        "needs": list(unit.needs),
    }
    match unit.action:
        case PushIndex() | LoadImage() | WriteLayout() | SaveImage() as action:
            found["destinations"] = list(action.references)
            found["tags"] = sorted({Reference.parse(text).tag for text in action.references})
        case Download() as action:
            found["version"] = action.version
        case _:
            pass
    return found


def _artifact(artifact: Artifact | None) -> dict[str, Any]:
    if artifact is None:
        return {}
    return {
        "digest": artifact.digest,
        "size": artifact.size,
        "path": str(artifact.path or ""),
        "references": list(artifact.reference),
        "problem": artifact.problem,
    }
