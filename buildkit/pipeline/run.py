"""Plan the goals of a call as one graph, carry it out, and report."""

from __future__ import annotations

import sys
from contextlib import closing

from buildkit.errors import BuildError
from buildkit.execute.outcomes import Outcome, Status
from buildkit.execute.scheduler import Crew, execute
from buildkit.execute.space import check_space, expected_places
from buildkit.pipeline.holder import only_run
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.planning import Planned, make_plan, plan_only
from buildkit.pipeline.report import (
    PLAN_COLUMNS,
    RESULT_COLUMNS,
    distinct_errors,
    plan_json,
    plan_rows,
    print_json,
    result_json,
    result_rows,
    show_settings,
    waiting,
)
from buildkit.pipeline.summary import write_run_outputs
from buildkit.pipeline.tidying import tidy_out
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.destinations import check_protected
from buildkit.plan.graph import Graph
from buildkit.plan.obsolete import obsolete_output, obsolete_units
from buildkit.plan.options import Goal, Options
from buildkit.plan.planner import Plan
from buildkit.plan.sink_units import layout_folder
from buildkit.plan.units import Kind
from buildkit.store import discard


def run(goals: frozenset[Goal], options: Options) -> None:
    """Make what the goals want.

    Raises:
        BuildkitError: something failed; everything that could be made was made.
    """
    if options.dry_run:
        show_plan(goals, options)
        return
    shop = Workshop.open(options)
    makers = Makers(shop)
    # Whatever happens, a terminal gets its cursor back before an error is printed.
    with closing(shop.reporter):
        with only_run(shop.state, sys.argv, shop.reporter.note), shop.store.in_use():
            planned = prepare(shop, makers, goals)
            outcomes = carry_out(planned)
        tidy_cache(shop, outcomes)
        _report(shop, planned.graph, outcomes)


def prepare(shop: Workshop, makers: Makers, goals: frozenset[Goal]) -> Planned:
    """Plan a run that will follow, with a registry where its hub needs one."""
    if Goal.DOCKER in goals:
        _registry(shop, makers)
    return make_plan(shop, makers, goals)


def carry_out(planned: Planned) -> tuple[Outcome, ...]:
    """Carry a plan out and write down what it made.

    Raises:
        ConfigError: a template is wrong; nothing was started.
        EnvironmentMissingError: there is too little space; nothing was started.
        CancelledError: the user ended the run.
    """
    shop, plan = planned.shop, planned.plan
    tidy_out(shop.state, plan)
    _check_templates(plan)
    _check_space(shop, plan)
    outcomes = _execute(planned)
    _remove_obsolete(shop)
    shop.book.save(shop.hasher)
    return outcomes


def tidy_cache(shop: Workshop, outcomes: tuple[Outcome, ...]) -> None:
    """Keep the user's cache below its size, after a run that may have added to it."""
    if any(outcome.status is Status.DONE for outcome in outcomes):
        from buildkit.pipeline.caching import tidy_cache as tidy  # noqa: PLC0415 - see Status.DONE

        tidy(shop, outcomes)


def show_plan(goals: frozenset[Goal], options: Options) -> None:
    """Show what would run and why, and change nothing."""
    planned = plan_only(goals, options)
    shop, graph, plan = planned.shop, planned.graph, planned.plan
    if options.json:
        from buildkit.pipeline.explaining import plan_details  # noqa: PLC0415 - a run needs none

        print_json(plan_json(plan, graph, shop.settings, plan_details(planned)))
        return
    show_settings(shop.settings, shop.shown)
    obsolete = (
        f"{unit} is no longer in {shop.project.targets.name}, a run removes what it made"
        for unit in obsolete_units(shop.book, shop.project.config)
    )
    for note in (*planned.makers.go.notes, *plan.notes, *obsolete):
        shop.shown.note(f"note       {note}")
    shop.shown.table(PLAN_COLUMNS, plan_rows(plan, graph))


def _execute(planned: Planned) -> tuple[Outcome, ...]:
    shop, plan = planned.shop, planned.plan
    settings = shop.settings
    kinds = {step.unit.kind for step in plan.running}
    crew = Crew(
        builders=planned.makers.builders(kinds),
        frugal=planned.makers.frugal(kinds),
        available=shop.available_memory if kinds else 0,
        planner=planned.planner,
        book=shop.book,
        hasher=shop.hasher,
        reporter=shop.reporter,
        limits=_limits(settings.jobs),
        cancel=shop.processes.cancel,
        fail_fast=settings.fail_fast,
    )
    for note in plan.notes:
        shop.reporter.note(note)
    return execute(plan, crew)


def _remove_obsolete(shop: Workshop) -> None:
    """Remove what units made that targets.toml no longer has, and say so."""
    book, file = shop.book, shop.project.targets.name
    units = obsolete_units(book, shop.project.config)
    for unit in units:
        path = obsolete_output(unit, book, shop.hasher, shop.settings.out)
        if path is not None:
            discard(path)
            shop.reporter.note(f"removed {path.name}: {unit} is no longer in {file}")
        _drop_from_layout(shop, unit)
    book.forget(units)


def _drop_from_layout(shop: Workshop, unit: str) -> None:
    kind, _, name = unit.partition("/")
    if kind == Kind.LAYOUT:
        from buildkit.images.layout import drop_image  # noqa: PLC0415 - seldom anything obsolete

        drop_image(layout_folder(shop.settings), name)


def _registry(shop: Workshop, makers: Makers) -> None:
    from buildkit.pipeline.local import ensure_registry  # noqa: PLC0415 - only images need one

    hubs = (item.hub.text for item in shop.settings.pushed)
    check_protected(hubs, shop.project.config.registry.protected, shop.environ)
    ensure_registry(shop, makers)


def _check_templates(plan: Plan) -> None:
    """Find a wrong template before anything starts."""
    units = tuple(step.unit for step in plan.running if step.unit.kind is Kind.IMAGE)
    if units:
        from buildkit.pipeline.check import check_templates  # noqa: PLC0415 - loads Jinja2

        check_templates(units)


def _check_space(shop: Workshop, plan: Plan) -> None:
    if plan.running:
        out, cache = shop.settings.out, shop.store.root
        check_space(expected_places(plan, shop.book, out, cache))


def _limits(jobs: int) -> dict[Kind, int]:
    # A compile uses all cores until it links; a second one fills that gap. Downloads wait
    # for the network and images for the daemon, so they may overlap with both.
    return {
        Kind.BINARY: max(1, min(2, jobs)),
        Kind.FETCH: 4,
        Kind.COMMAND: max(1, min(2, jobs)),
        Kind.BASE: 4,
        Kind.IMAGE: max(2, jobs),
        Kind.PUSH: max(2, jobs),
        Kind.LOAD: 2,
        Kind.LAYOUT: 2,
        Kind.OCI_ARCHIVE: 2,
        Kind.DOCKER_ARCHIVE: 2,
        Kind.DEB: 2,
        Kind.RPM: 2,
    }


def _report(shop: Workshop, graph: Graph, outcomes: tuple[Outcome, ...]) -> None:
    if shop.options.json:
        print_json(result_json(outcomes, graph, shop.settings))
    shop.reporter.table(RESULT_COLUMNS, result_rows(outcomes, graph))
    shop.reporter.close()
    write_run_outputs(shop.environ, shop.project.config.project.name, outcomes, graph)
    judge(shop, graph, outcomes)


def judge(shop: Workshop, graph: Graph, outcomes: tuple[Outcome, ...]) -> None:
    """End with the error of what failed; several are printed, the first gives the exit code."""
    for outcome in outcomes:
        if outcome.artifact is not None and outcome.artifact.problem:
            shop.reporter.warn(f"{outcome.unit.id} {outcome.artifact.problem}")
    failed = distinct_errors(outcomes)
    errors = [*failed, *waiting(outcomes, graph, rest_is_done=not failed)]
    for error in errors[1:]:
        shop.reporter.error(error)
    if errors:
        raise errors[0]
    if any(outcome.status is Status.ABORTED for outcome in outcomes):
        raise BuildError("not everything was made")
