"""What the images of a plan need of this machine, for `invoke doctor`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from buildkit.doctor.facts import BootstrapFacts, BuildxFacts
from buildkit.plan.graph import Graph
from buildkit.plan.units import AssembleBase, BuildImage, EngineName, Kind, Unit

_RUN = re.compile(r"^\s*RUN\s", re.MULTILINE | re.IGNORECASE)
_HEREDOC = re.compile(
    r"^\s*(?:RUN|COPY|ADD)(?=\s)[^#\n]*?\s\d*<<-?[\"']?[A-Za-z0-9_.]+[\"']?",
    re.MULTILINE | re.IGNORECASE,
)
_MODERN = re.compile(
    r"^\s*(?:(?:COPY|ADD)\s+(?:--\S+\s+)*--(?:chmod|link|parents|exclude|checksum)\b"
    r"|RUN\s+--(?:mount|network|security)\b)",
    re.MULTILINE | re.IGNORECASE,
)


def daemon_need(graph: Graph, engine: EngineName) -> str:
    """Return why a run cannot do without the daemon; empty where it can."""
    if engine in {EngineName.DOCKER, EngineName.BUILDX}:
        return f"the {engine} engine"
    running = [name for name, text in _texts(graph) if _RUN.search(text)]
    return f"RUN in image/{running[0]}" if running and engine is EngineName.AUTO else ""


def buildx_facts(graph: Graph, engine: EngineName, ask: Callable[[], str]) -> BuildxFacts:
    """Tell what needs BuildKit, and whether it is there.

    A template is not rendered for it: a line that only some variables keep counts.

    Args:
        graph: names the images.
        engine: who builds them.
        ask: says why buildx cannot be used; not called where nothing needs it.
    """
    needed = _buildx_need(graph, engine)
    return BuildxFacts(needed=needed, problem=ask() if needed else "")


def _buildx_need(graph: Graph, engine: EngineName) -> str:
    if engine is EngineName.BUILDX:
        return "the buildx engine"
    if engine is not EngineName.AUTO:
        return ""
    for name, text in _texts(graph):
        # What the OCI engine can do alone never comes to a daemon.
        found = _HEREDOC.search(text) or (_RUN.search(text) and _MODERN.search(text))
        if found:
            words = found[0].split()
            return f"{words[0].upper()} {words[-1]} in image/{name}"
    return ""


def bootstrap_facts(graph: Graph, missing: str, program: str) -> BootstrapFacts:
    """Tell which bases mmdebstrap installs, and what is without it.

    Args:
        graph: the bases that are used, and what has none.
        missing: the words that the plan has for a machine without mmdebstrap.
        program: where mmdebstrap is; empty where it is not.
    """
    return BootstrapFacts(
        program=program,
        bases=tuple(dict.fromkeys(_bootstrapped(graph.units))),
        stopped=tuple(f"{unit} has {why}" for unit, why in graph.blocked if missing in why),
        evaded=tuple(note for note in graph.notes if missing in note),
    )


def _bootstrapped(units: tuple[Unit, ...]) -> Iterator[str]:
    for unit in units:
        if isinstance(unit.action, AssembleBase) and unit.action.base.kind == "bootstrap":
            yield f"{Kind.BASE}/{unit.name}"


def _texts(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield each image with its Dockerfile or template, once."""
    images = {
        item.template: unit.name
        for unit in graph.units
        if isinstance(item := unit.action, BuildImage)
    }
    for path, name in images.items():
        yield name, path.read_text()
