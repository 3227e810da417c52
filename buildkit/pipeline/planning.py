"""Planning what goals want: for a run, and for those that only show it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from buildkit.errors import UsageError
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.action_cache import ActionCache
from buildkit.plan.graph import Graph, build_graph, settle_volatile
from buildkit.plan.options import Goal, Options
from buildkit.plan.planner import Plan, Planner

BOTH = frozenset({Goal.BUILD, Goal.DOCKER})
"""What is meant where a call names no goal."""


class Planned(Struct, frozen=True, kw_only=True):
    """A plan with what it was made from."""

    shop: Workshop
    makers: Makers
    graph: Graph
    planner: Planner
    plan: Plan


def plan_only(
    goals: frozenset[Goal], options: Options, choose: Callable[[Graph], Graph] | None = None
) -> Planned:
    """Plan and change nothing: no file of the outputs, of the source or of the user's cache.

    Args:
        goals: what is wanted; nothing means building and images together.
        options: the flags.
        choose: takes a part of the graph.
    """
    shop = Workshop.open(options)
    makers = Makers(shop)
    if not goals or Goal.DOCKER in goals:
        from buildkit.pipeline.local import find_registry  # noqa: PLC0415 - only images need one

        find_registry(shop, makers)
    return make_plan(shop, makers, goals or BOTH, choose)


def make_plan(
    shop: Workshop,
    makers: Makers,
    goals: frozenset[Goal],
    choose: Callable[[Graph], Graph] | None = None,
) -> Planned:
    """Plan what the goals want.

    Raises:
        UsageError: there is nothing to make.
    """
    settings = shop.settings
    graph = build_graph(shop.project, settings, makers.facts(goals), goals)
    graph = choose(graph) if choose else graph
    if settings.stamp:
        values = shop.volatile()
        units = tuple(settle_volatile(unit, values) for unit in graph.units)
        graph = replace(graph, units=units)
    if not graph.units:
        raise UsageError(
            "there is nothing to make",
            details="\n".join(f"{n}: {why}" for n, why in (*graph.missing, *graph.blocked)),
            resolution="Choose another --platform or --only; `build` makes binaries, `docker` "
            "makes images, which are for Linux.",
        )
    planner = Planner(
        book=shop.book,
        hasher=shop.hasher,
        presence=makers.presence(),
        cache=ActionCache(open_store=lambda: shop.store),
        blocked=makers.blocked(goals),
        skipped=makers.skipped(goals),
        force=settings.force,
    )
    plan = planner.plan(graph)
    return Planned(shop=shop, makers=makers, graph=graph, planner=planner, plan=plan)
