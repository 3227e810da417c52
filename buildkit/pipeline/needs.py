"""Which programs a planned run needs, and whether they are there: what `invoke doctor` asks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from buildkit.doctor.facts import ProgramFacts
from buildkit.images.buildx import buildx_problem
from buildkit.pipeline.planning import Planned
from buildkit.plan.units import AssembleBase, BuildImage, EngineName

_RUN = re.compile(r"^\s*RUN\s", re.MULTILINE | re.IGNORECASE)


def mmdebstrap_facts(planned: Planned) -> Iterator[ProgramFacts]:
    """Yield whether mmdebstrap is there, where a base is made by it."""
    bases = planned.shop.project.config.bases
    named = [f"base/{name}" for name, base in bases.items() if base.kind == "bootstrap"]
    asked = [
        f"base/{unit.name}"
        for unit in planned.graph.units
        if isinstance(unit.action, AssembleBase) and unit.action.base.kind == "bootstrap"
    ]
    if named:
        yield ProgramFacts(
            name="mmdebstrap",
            problem=planned.makers.no_bootstrap(),
            needed=next(iter(asked), ""),
            used=named[0],
        )


def buildx_facts(planned: Planned) -> Iterator[ProgramFacts]:
    """Yield whether buildx is there, where it is chosen."""
    shop = planned.shop
    if shop.settings.engine is EngineName.BUILDX:
        problem = buildx_problem(shop.processes, shop.environ, shop.project.root)
        yield ProgramFacts(name="buildx", problem=problem, needed="the buildx engine")


def daemon_need(planned: Planned | None) -> str:
    """Return why a run cannot do without the daemon; empty where it can."""
    if planned is None:
        return ""
    engine = planned.shop.settings.engine
    if engine in {EngineName.DOCKER, EngineName.BUILDX}:
        return f"the {engine} engine"
    images = {
        item.template: unit.name
        for unit in planned.graph.units
        if isinstance(item := unit.action, BuildImage)
    }
    running = [name for path, name in images.items() if _RUN.search(path.read_text())]
    return f"RUN in image/{running[0]}" if running and engine is EngineName.AUTO else ""
