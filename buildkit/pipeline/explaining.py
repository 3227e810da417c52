"""`invoke explain` and `invoke graph`, and what the plan's JSON says of each unit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from buildkit.memory import actions_within
from buildkit.pipeline.commands import Command, Compiler
from buildkit.pipeline.mermaid import flowchart
from buildkit.pipeline.planning import BOTH, Planned, plan_only
from buildkit.pipeline.report import human_size, other_steps, print_json, settings_json, unit_json
from buildkit.plan.changes import Change
from buildkit.plan.explain import Explainer, Explanation, choose_units, narrow
from buildkit.plan.graph import Graph
from buildkit.plan.options import Goal, Options
from buildkit.plan.settings import Settings
from buildkit.plan.units import (
    BuildImage,
    BuildPackage,
    Compile,
    LoadImage,
    PushIndex,
    SaveImage,
    Unit,
    WriteLayout,
)

Lines = Iterator[tuple[str, str]]
"""A word for the left column, empty to go on below, and a text."""


def show_explanation(options: Options, pattern: str) -> None:
    """Show the whole reason of each unit that a pattern names, and change nothing.

    Raises:
        UsageError: it names none.
    """
    platform = pattern.partition("@")[2]
    if platform and options.platform is None:
        options = replace(options, platform=platform)
    chosen: list[str] = []

    def choose(graph: Graph) -> Graph:
        chosen.extend(choose_units(graph, pattern))
        return replace(graph, units=narrow(graph, tuple(chosen)) or graph.units)

    planned = plan_only(BOTH | {Goal.PACKAGE}, options, choose)
    found = _explanations(planned, chosen)
    commands = _compiler(planned).commands(planned.plan)
    others = [step for step in other_steps(planned.graph) if step[1] in chosen]
    if options.json:
        units = [explanation_json(item, commands.get(item.step.unit.id)) for item in found]
        units += [{"id": name, "verdict": v, "reason": reason} for v, name, reason in others]
        print_json({**settings_json(planned.shop.settings), "units": units})
        return
    for item in found:
        lines = explanation_lines(item, commands.get(item.step.unit.id), planned.shop.settings)
        for line in _columns(item.step.unit.id, lines):
            planned.shop.shown.note(line)
    for verdict, identity, reason in others:
        for line in _columns(identity, iter((("verdict", verdict), ("reason", reason)))):
            planned.shop.shown.note(line)


def show_graph(goals: frozenset[Goal], options: Options) -> None:
    """Print the graph of a plan as a Mermaid flowchart to standard output."""
    planned = plan_only(goals, options)
    nodes = [(s.unit.id, str(s.verdict), s.unit.needs) for s in planned.plan.steps]
    nodes += [(name, verdict, ()) for verdict, name, _ in other_steps(planned.graph)]
    chart = flowchart(nodes)
    if options.json:
        print_json({"mermaid": chart})
    else:
        sys.stdout.write(chart)


def plan_details(planned: Planned) -> dict[str, dict[str, Any]]:
    """Return, by unit id, the command and the inputs' digest of each step of a plan."""
    explainer = Explainer(plan=planned.plan, planner=planned.planner)
    commands = _compiler(planned).commands(planned.plan)
    return {
        step.unit.id: {
            "command": command_json(commands.get(step.unit.id)),
            "inputs_digest": explainer.digest(step) or None,
        }
        for step in planned.plan.steps
    }


def explanation_json(item: Explanation, command: Command | None) -> dict[str, Any]:
    """Return an explanation as a part of a JSON document."""
    changes = [{"name": c.name, "before": c.before, "after": c.after} for c in item.changes]
    record, made = item.record, item.made
    return {
        **unit_json(item.step.unit),
        "verdict": str(item.step.verdict),
        "reason": item.step.reason,
        "inputs_digest": item.digest or None,
        "inputs": dict(item.inputs),
        "sources": dict(item.sources),
        "changes": changes,
        "needs": [{"id": s.unit.id, "verdict": str(s.verdict)} for s in item.needs],
        "command": command_json(command),
        "record": {"made": record.made, "seconds": record.seconds} if record else None,
        "output": {
            "path": str(made.path or ""),
            "digest": made.digest,
            "size": made.size,
            "problem": item.problem,
            "cached": item.is_kept,
        }
        if made
        else None,
    }


def command_json(command: Command | None) -> dict[str, Any] | None:
    """Return a command as a part of a JSON document."""
    if command is None:
        return None
    return {
        "argv": list(command.argv),
        "environment": dict(command.environment),
        "directory": str(command.directory),
    }


def explanation_lines(item: Explanation, command: Command | None, settings: Settings) -> Lines:
    """Yield what is to be said of a unit."""
    yield "verdict", str(item.step.verdict)
    yield "reason", item.step.reason
    yield from _listed("changed", [_change(change) for change in item.changes])
    needs = [f"{s.unit.id}  {s.verdict}, {s.reason}" for s in item.needs]
    yield from _listed("needs", needs)
    yield "inputs", item.digest or "their digest is not known before it is made"
    yield from (("", f"{name}: {_short(value)}") for name, value in item.inputs.items())
    yield from _listed("sources", [f"{path}: {_short(digest)}" for path, digest in item.sources])
    yield from _origins(item.step.unit, settings)
    if command is not None:
        yield "command", command.text
    yield from _output(item)


def _output(item: Explanation) -> Lines:
    record, made = item.record, item.made
    if record is None:
        yield "made", "never here"
    else:
        when = datetime.fromtimestamp(record.made).astimezone()
        moment = when.isoformat(sep=" ", timespec="seconds") if record.made else "some time ago"
        yield "made", f"{moment}, in {record.seconds:.1f} s"
    if made is not None:
        place = str(made.path) if made.path else " ".join(made.reference)
        yield "output", ", ".join(filter(None, (place, human_size(made.size), made.digest)))
        if item.problem:
            yield "", item.problem
    if made is not None and item.step.unit.output is not None:
        yield "cache", "holds this output" if item.is_kept else "does not hold this output"


def _origins(unit: Unit, settings: Settings) -> Lines:
    """Yield where the values that the user can set came from, if this unit uses them."""
    match unit.action:
        case Compile() | BuildImage() | BuildPackage():
            yield "version", f"{settings.version.text} ({settings.version.origin})"
        case PushIndex() | LoadImage() | WriteLayout() | SaveImage() as action:
            yield from _listed("names", list(action.references))
            for hub in settings.destinations:
                yield "hub", f"{hub.hub.text} ({hub.hub.origin})"
                yield from _listed("tags", [f"{tag.text} ({tag.origin})" for tag in hub.tags])
        case _:
            pass


def _listed(word: str, texts: list[str]) -> Lines:
    yield from ((word if number == 0 else "", text) for number, text in enumerate(texts))


def _change(change: Change) -> str:
    values = [_short(value) for value in (change.before, change.after) if value]
    return ": ".join(filter(None, (f"{change.name} {change.text}", " -> ".join(values))))


def _short(value: str) -> str:
    """Shorten the digests in a value to what people compare; JSON has all of them."""
    words = (w[:19] if w.startswith("sha256:") else w for w in value.split(" "))
    return " ".join(words) or "(empty)"


def _columns(title: str, lines: Lines) -> Iterator[str]:
    yield title
    yield from (f"  {word:<8} {text}" for word, text in lines)


def _explanations(planned: Planned, identities: list[str]) -> list[Explanation]:
    explainer = Explainer(plan=planned.plan, planner=planned.planner)
    steps = {step.unit.id: step for step in planned.plan.steps}
    return [explainer.explain(steps[identity]) for identity in identities if identity in steps]


def _compiler(planned: Planned) -> Compiler:
    shop = planned.shop
    return Compiler(
        program=planned.makers.go.program,
        jobs=actions_within(shop.available_memory, shop.settings.jobs),
        volatile=shop.volatile,
        scratch=shop.state / "tmp",
    )
