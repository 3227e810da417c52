"""Names that a configuration may use: platforms, and variables in texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildkit.config.interpolate import has_lone_dollar, names_in
from buildkit.config.problems import Problems, near_miss
from buildkit.platform import GO_PLATFORMS


def check_platforms(
    names: Sequence[str], known: Iterable[str], path: str, problems: Problems
) -> None:
    """Add a problem for each platform that is not known, or is named twice."""
    known = set(known)
    for name in names:
        # Go's own list has no variants; a matrix has those that it names.
        found = "/".join(name.split("/")[:2]) if known == GO_PLATFORMS else name
        if found not in known:
            problems.add(path, f"unknown platform '{name}'", near_miss(name, known))
    for name in sorted({name for name in names if list(names).count(name) > 1}):
        problems.add(path, f"platform '{name}' is named twice")


def check_variables(text: str, known: Iterable[str], path: str, problems: Problems) -> None:
    """Add a problem for each variable of a text that is not known, and for a lone dollar sign."""
    for name in sorted(names_in(text) - set(known)):
        problems.add(path, f"unknown variable '${{{name}}}'", near_miss(name, known))
    if has_lone_dollar(text):
        problems.add(path, f"a lone '$' in '{text}'", "write ${name}, or $$ for a dollar")
