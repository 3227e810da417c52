"""Packages that a tree's makefile makes with fpm, as Istio's ``tools/packaging`` does.

fpm's words are those of its manual: ``fpm -s dir -t deb -n NAME -p FILE [options] from=to ...``.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from buildkit.adopt.istio import read_text
from buildkit.adopt.makefile import expand, logical_lines, read_variables
from buildkit.adopt.model import Packaged

PACKAGING = "tools/packaging/packaging.mk"
_FOREACH = re.compile(r"\$\(foreach (?P<name>\w+),\s*\$\((?P<list>\w+)\),(?P<body>.*)\)\s*$")
_EVAL = re.compile(r"(?P<name>\w+)\+=(?P<text>.*)")
_OUT = re.compile(r"\$[({]TARGET_OUT\w*[)}]/(?P<name>[\w.-]+)")
_PAIR = re.compile(r"[^-=][^=]*=/.*")
_TREE = re.compile(r"(?:\$[({]REPO_ROOT[)}]/)?(?P<path>[\w./-]+)")
_SCRIPTS = {
    "before_install": "preinstall",
    "after_install": "postinstall",
    "before_remove": "preremove",
    "after_remove": "postremove",
}


def read_packages(tree: Path, binaries: Iterable[str]) -> tuple[Packaged, ...]:
    """Return what the tree's own makefile packs, one for each file name, of both formats.

    Args:
        tree: its root.
        binaries: the names of everything that is compiled or fetched.
    """
    text = read_text(tree / PACKAGING)
    variables = _with_lists(text, read_variables(text))
    calls: dict[str, dict[str, argparse.Namespace]] = {}
    for call in _calls(text, variables):
        calls.setdefault(PurePosixPath(call.package).stem, {})[call.type] = call
    known = frozenset(binaries)
    return tuple(_packaged(tree, name, formats, known) for name, formats in calls.items())


def _calls(text: str, variables: Mapping[str, str]) -> Iterator[argparse.Namespace]:
    parser = _parser()
    for line in logical_lines(text):
        if not re.match(r"\s+fpm\s", line):
            continue
        try:
            call, rest = parser.parse_known_args(shlex.split(expand(line, variables))[1:])
        except (ValueError, argparse.ArgumentError):
            continue
        call.pairs = [word for word in rest if _PAIR.fullmatch(word)]
        if call.type in {"deb", "rpm"} and call.package:
            yield call


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    for short, name in (("-s", "source"), ("-t", "type"), ("-n", "name"), ("-p", "package")):
        parser.add_argument(short, dest=name, default="")
    for name in ("version", "architecture", "url", "license", "vendor", "maintainer"):
        parser.add_argument(f"--{name}", default="")
    for name in ("description", *(script.replace("_", "-") for script in _SCRIPTS)):
        parser.add_argument(f"--{name}", default="")
    for name in ("depends", "config-files"):
        parser.add_argument(f"--{name}", action="append", default=[])
    return parser


def _with_lists(text: str, variables: dict[str, str]) -> dict[str, str]:
    """Add what ``$(foreach ...$(eval NAME+=...))`` appends to variables."""
    for line in logical_lines(text):
        loop = _FOREACH.match(line.strip())
        for match in map(_EVAL.match, loop["body"].split("$(eval ")[1:]) if loop else ():
            if loop is None or match is None:
                continue
            for item in expand(variables.get(loop["list"], ""), variables).split():
                added = _balanced(match["text"])
                added = added.replace(f"$(notdir $({loop['name']}))", PurePosixPath(item).name)
                added = added.replace(f"$({loop['name']})", item)
                variables[match["name"]] = f"{variables.get(match['name'], '')} {added}".strip()
    return variables


def _balanced(text: str) -> str:
    """Return the text before the parenthesis that closes what was opened before it."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "({") - (letter in ")}")
        if depth < 0:
            return text[:place].strip()
    return text.strip()


def _packaged(
    tree: Path, name: str, formats: Mapping[str, argparse.Namespace], known: frozenset[str]
) -> Packaged:
    first = next(iter(formats.values()))
    depends = {kind: tuple(call.depends) for kind, call in formats.items()}
    common = frozenset.intersection(*map(frozenset, depends.values()))
    binaries, files, missing = _contents(tree, first.pairs)
    config = {path: file for path, file in files.items() if path in first.config_files}
    scripts = {ours: getattr(first, theirs) for theirs, ours in _SCRIPTS.items()}
    return Packaged(
        name=name,
        description=first.description or name,
        maintainer=_maintainer(first),
        formats=tuple(sorted(formats)),
        binaries=binaries,
        files={path: file for path, file in files.items() if path not in config},
        config=config,
        scripts={kind: path for kind, path in scripts.items() if path},
        depends=tuple(item for item in first.depends if item in common),
        own_depends={
            kind: rest
            for kind, every in depends.items()
            if (rest := tuple(item for item in every if item not in common))
        },
        missing=tuple(missing),
        left_out=_obstacle(binaries, known),
    )


def _contents(tree: Path, pairs: Iterable[str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    binaries: dict[str, str] = {}
    files: dict[str, str] = {}
    missing: list[str] = []
    for origin, _, path in (pair.rpartition("=") for pair in pairs):
        if match := _OUT.fullmatch(origin):
            binaries[match["name"]] = path
        elif (match := _TREE.fullmatch(origin)) and (tree / match["path"]).exists():
            files[path] = match["path"]
        else:
            missing.append(path)
    return binaries, files, missing


def _obstacle(binaries: Iterable[str], known: frozenset[str]) -> str:
    absent = [name for name in binaries if name not in known]
    return f"it needs {', '.join(absent)}, which nothing here makes" if absent else ""


def _maintainer(call: argparse.Namespace) -> str:
    mail = call.maintainer or "root@localhost"
    return mail if "<" in mail else f"{call.vendor or call.name} <{mail}>"
