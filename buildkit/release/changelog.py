"""What changed since the last release, from the subjects of commits.

Conventional Commits (https://www.conventionalcommits.org/en/v1.0.0) are put under headings;
a history that does not use them is listed as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from buildkit.vcs import Change

_SUBJECT = re.compile(r"(?P<type>[a-z]+)(?:\((?P<scope>[^)]+)\))?(?P<breaking>!)?: (?P<text>.+)")
_HEADINGS = {"feat": "Features", "fix": "Fixes", "perf": "Performance", "docs": "Documentation"}
_BREAKING, _OTHER = "Breaking changes", "Other changes"
_SHORT = 12
_FIRST = 100
"""How many commits are named where there is no tag before: the newest."""


def changelog(version: str, previous: str, changes: Iterable[Change]) -> str:
    """Return the changes since a tag as Markdown, newest first; ``previous`` may be empty."""
    every = tuple(changes)
    listed = every if previous else every[:_FIRST]
    since = f"Changes since {previous}." if previous else "The first release."
    lines = [f"# {version}", "", since]
    if not listed:
        lines += ["", "No commit since then." if previous else "No commit."]
    elif not any(_conventional(change) for change in listed):
        lines += ["", *(_line(change.subject, change) for change in listed)]
    else:
        lines += _grouped(listed)
    if len(listed) < len(every):
        lines += ["", f"And {len(every) - len(listed)} earlier commits."]
    return "\n".join(lines) + "\n"


def _grouped(changes: tuple[Change, ...]) -> list[str]:
    groups: dict[str, list[str]] = {name: [] for name in (_BREAKING, *_HEADINGS.values(), _OTHER)}
    for change in changes:
        found = _conventional(change)
        if found is None:
            heading = _BREAKING if _is_breaking(change) else _OTHER
            groups[heading].append(_line(change.subject, change))
            continue
        scope = f"**{found['scope']}**: " if found["scope"] else ""
        heading = _HEADINGS.get(found["type"], _OTHER)
        if found["breaking"] or _is_breaking(change):
            heading = _BREAKING
        groups[heading].append(_line(scope + found["text"], change))
    return [
        line
        for heading, entries in groups.items()
        if entries
        for line in ("", f"## {heading}", "", *entries)
    ]


def _conventional(change: Change) -> re.Match[str] | None:
    return _SUBJECT.fullmatch(change.subject)


def _is_breaking(change: Change) -> bool:
    return any(
        line.startswith(("BREAKING CHANGE:", "BREAKING-CHANGE:"))
        for line in change.text.splitlines()
    )


def _line(text: str, change: Change) -> str:
    return f"- {text} ({change.revision[:_SHORT]})"
