"""Names that a tree's own build gives to its programs, where its Dockerfiles copy them by those."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from msgspec.structs import replace

from buildkit.adopt.model import Binary

_TARGET = re.compile(r"(?P<target>[^\s:=#][^\s:=#]*)\s*::?(?!=)")
_OUTPUT = re.compile(r"\s-o[=\s]+[\"']?(?P<path>[^\s\"']+)")
_PACKAGE = re.compile(r"(?<=\s)(?P<package>\./[\w./-]+)(?=[\s\"';)]|$)")
_PLAIN = re.compile(r"[\w.-]+")


def with_own_names(
    binaries: tuple[Binary, ...], scripts: Mapping[str, str], copied: Iterable[str]
) -> tuple[Binary, ...]:
    """Return the programs with the names that Dockerfiles copy them by.

    Args:
        binaries: named after their packages.
        scripts: texts of make files and scripts by their paths: ``-o`` gives a name, or the
            target of a rule whose recipe names the package.
        copied: names of files that Dockerfiles copy and the tree does not have.
    """
    taken = {item.name for item in binaries}
    wanted = set(copied) - taken
    given: dict[str, set[str]] = {}
    for text in scripts.values():
        for package, name in named_packages(text):
            given.setdefault(package, set()).add(name)
    found = []
    for item in binaries:
        names = given.get(item.package, set()) & wanted
        found.append(replace(item, name=names.pop()) if len(names) == 1 else item)
        wanted.discard(found[-1].name)
    return tuple(found)


def named_packages(text: str) -> Iterator[tuple[str, str]]:
    """Yield the packages that a make file or script names, each with what is made of it."""
    target = ""
    for line in re.sub(r"\\\n\s*", " ", text).split("\n"):
        if not line.startswith("\t"):
            rule = _TARGET.match(line)
            target = _plain(rule["target"]) if rule else ""
        packages = [match["package"].rstrip("/") for match in _PACKAGE.finditer(line)]
        output = _OUTPUT.search(line)
        names = {_plain(output["path"]) if output else "", target if line[:1] == "\t" else ""}
        for package in packages:
            yield from ((package, name) for name in sorted(names) if name)


def _plain(path: str) -> str:
    """Return the last part of a path, if it needs no variable to be known."""
    name = PurePosixPath(path).name
    return name if _PLAIN.fullmatch(name) else ""
