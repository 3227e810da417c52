"""The graph of a plan as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from buildkit.plan.units import Verdict

Node = tuple[str, str, tuple[str, ...]]
"""A unit's id, its verdict, and the ids of what it needs."""

_STYLES = {
    Verdict.RUN: "fill:#dbeafe,stroke:#1d4ed8,color:#111827",
    Verdict.CACHED: "fill:#dcfce7,stroke:#15803d,color:#111827",
    Verdict.RESTORED: "fill:#ccfbf1,stroke:#0f766e,color:#111827",
    Verdict.SKIP: "fill:#f3f4f6,stroke:#6b7280,color:#111827",
    Verdict.BLOCKED: "fill:#fee2e2,stroke:#b91c1c,color:#111827",
}
"""Light fills with dark text, readable on GitHub's light and dark pages."""


def flowchart(nodes: Sequence[Node]) -> str:
    """Return a flowchart: an arrow from each unit to what needs it, platforms as subgraphs."""
    # Ids of Mermaid take few characters and have reserved words such as `end`: numbers are safe.
    names = {identity: f"u{number}" for number, (identity, _, _) in enumerate(nodes, start=1)}
    lines = ["flowchart LR", *_boxes(names), *_arrows(nodes, names), *_classes(nodes, names)]
    return "\n".join(lines) + "\n"


def _boxes(names: dict[str, str]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for identity in names:
        groups.setdefault(identity.partition("@")[2], []).append(identity)
    for number, (platform, members) in enumerate(groups.items(), start=1):
        if platform:
            yield f'  subgraph p{number}["{_text(platform)}"]'
        for identity in members:
            indent = "    " if platform else "  "
            yield f'{indent}{names[identity]}["{_text(identity.partition("@")[0])}"]'
        if platform:
            yield "  end"


def _arrows(nodes: Sequence[Node], names: dict[str, str]) -> Iterator[str]:
    for identity, _, needs in nodes:
        yield from (f"  {names[need]} --> {names[identity]}" for need in needs if need in names)


def _classes(nodes: Sequence[Node], names: dict[str, str]) -> Iterator[str]:
    for verdict, style in _STYLES.items():
        members = [names[identity] for identity, found, _ in nodes if found == verdict]
        if members:
            yield f"  classDef {verdict.lower()} {style}"
            yield f"  class {','.join(members)} {verdict.lower()}"


def _text(text: str) -> str:
    """Write a label's text: quotes and number signs as Mermaid's entities."""
    return text.replace("#", "#35;").replace('"', "#quot;")
