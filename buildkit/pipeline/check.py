"""`invoke check`, `invoke schema` and `invoke clean`: nothing is started."""

from __future__ import annotations

import shutil

from buildkit.build.fetch import check_pins
from buildkit.config.lock import lock_path
from buildkit.config.schema import json_schema
from buildkit.errors import ConfigError, UsageError
from buildkit.images.recipe import template_variables
from buildkit.images.render import check_variables, read_template
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import STATE, Workshop
from buildkit.plan.graph import Graph, build_graph
from buildkit.plan.options import Goal, Options
from buildkit.plan.units import BuildImage, Download, Unit


def check_project(options: Options) -> None:
    """Check the configuration, the lock and every image template.

    Raises:
        ConfigError: something is wrong; the message lists every place.
    """
    shop = Workshop.open(options)
    graph = checked_graph(shop)
    problems = lock_problems(graph)
    if problems:
        raise ConfigError(
            f"{lock_path(shop.project.targets).name} does not pin what is asked for",
            details="\n".join(problems),
            resolution="Run `invoke lock` where those sources can be reached.",
        )
    count = len(graph.units)
    if options.json:
        print_json({"targets": str(shop.project.targets), "units": count})
    shop.reporter.note(f"{shop.project.targets.name} is right: {count} units, all pinned")


def checked_graph(shop: Workshop) -> Graph:
    """Return the graph of everything that a configuration makes, with its templates checked.

    Raises:
        ConfigError: something is wrong, apart from pins.
        EnvironmentMissingError: there is no usable Go, and none is locked.
    """
    goals = frozenset(Goal)
    graph = build_graph(shop.project, shop.settings, Makers(shop).facts(goals), goals)
    check_templates(graph.units)
    return graph


def lock_problems(graph: Graph) -> tuple[str, ...]:
    """Return what the lock does not pin, each with its unit."""
    problems = [f"{unit.id}: {why}" for unit in graph.units if (why := _pin_problem(unit))]
    problems += [f"{name}: {why}" for name, why in graph.blocked if "not locked" in why]
    return tuple(sorted(problems))


def _pin_problem(unit: Unit) -> str:
    action, platform = unit.action, unit.platform
    if not isinstance(action, Download) or platform is None or action.override is not None:
        return ""
    try:
        check_pins(action, platform)
    except ConfigError as error:
        return error.details
    return ""


def check_templates(units: tuple[Unit, ...]) -> None:
    """Check that the templates of images use only variables that exist.

    Raises:
        ConfigError: a template uses another; the message names file and line.
    """
    seen = set()
    for unit in units:
        action, platform = unit.action, unit.platform
        if not isinstance(action, BuildImage) or not action.is_template:
            continue
        if platform and action.template not in seen:
            seen.add(action.template)
            known = template_variables(action, platform, base="base")
            check_variables(action.template, read_template(action.template), known)


def print_schema(_options: Options) -> None:
    """Print the JSON Schema of targets.toml."""
    print_json(json_schema())


def clean_out(options: Options) -> None:
    """Remove the out directory, if it is one that this tool made.

    Raises:
        UsageError: the directory holds no record of ours.
    """
    shop = Workshop.open(options)
    out = shop.settings.out
    existed = out.exists()
    if existed and not (out / STATE).is_dir():
        raise UsageError(
            f"{out} was not made by this tool, so it is left alone",
            resolution="Remove it by hand if that is what you want.",
        )
    if existed:
        shutil.rmtree(out)
    if options.json:
        print_json({"out": str(out), "removed": existed})
    shop.reporter.note(f"removed {out}" if existed else f"{out} does not exist")
