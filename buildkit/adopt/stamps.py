"""Variables that the linker can set: those that a tree's own build sets, and candidates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from msgspec import Struct

from buildkit.adopt.golist import Package
from buildkit.adopt.makefile import expand, read_variables
from buildkit.adopt.model import Stamp
from buildkit.adopt.scripts import read_scripts

_FLAG = re.compile(
    r"-X[\s=]+[\"']?(?P<path>[^\s\"'=]*?)\.(?P<name>[A-Za-z_]\w*)=(?P<value>[^\n]*?)"
    r"(?=\s-X|[\"'\\]*\n|\Z)"
)
_PRINTED = re.compile(
    r"^\s*echo\s+[\"']?(?P<path>[\w.-]+\.\w+/[\w./-]+)\.(?P<name>[A-Za-z_]\w*)="
    r"(?P<value>[^\s\"']*)",
    re.MULTILINE,
)
_VERSION_PACKAGES = frozenset({"build", "buildinfo", "version"})
_VARIABLE = re.compile(
    r"^(?:var\s+|\t)(?P<name>[A-Za-z_]\w*)\s*(?:string\s*)?(?:=\s*(?:[\"`](?P<value>[^\"`\n]*)[\"`]"
    r"|(?P<constant>[A-Za-z_][\w.]*)))?\s*(?://.*)?$"
)
_CONSTANT = re.compile(
    r"^(?:const\s+|\t)(?P<name>[A-Za-z_]\w*)\s*(?:string\s*)?=\s*\"(?P<value>[^\"\n]*)\"",
    re.MULTILINE,
)
_RUNTIME = {"runtime.GOOS": "unknown", "runtime.GOARCH": "unknown"}
_FILLERS = frozenset({"", "dev", "devel", "edge", "n/a", "none", "undefined", "unknown"})
_TEXTS = (
    (re.compile(r"date|time", re.IGNORECASE), "${created}"),
    (re.compile(r"rev|commit|sha|hash", re.IGNORECASE), "${git.revision}"),
    (re.compile(r"status|dirty|treestate|state", re.IGNORECASE), "${git.status}"),
    (re.compile(r"tag|describe", re.IGNORECASE), "${git.describe}"),
    (re.compile(r"hub|registry", re.IGNORECASE), "${hub}"),
    (re.compile(r"(build|go)?os", re.IGNORECASE), "${os}"),
    (re.compile(r"(build|go)?arch", re.IGNORECASE), "${arch}"),
    (re.compile(r"(build|git|app)?_?version", re.IGNORECASE), "${version}"),
)
_WHOLE = frozenset({"${os}", "${arch}", "${version}"})
"""These words end too many other names, such as goVersion or apiVersion."""


class _Declared(Struct, frozen=True, kw_only=True):
    name: str
    value: str


def find_stamps(tree: Path, module: str, packages: Iterable[Package]) -> tuple[Stamp, ...]:
    """Return what the scripts of a tree set, or where they set nothing, what could be set.

    Args:
        tree: its root.
        module: the path of its module.
        packages: all packages of it.
    """
    known = {package.import_path: Path(package.dir) for package in packages if package.dir}
    scripted = tuple(_scripted(tree, known))
    if scripted:
        return scripted
    return tuple(
        stamp
        for path, folder in sorted(known.items())
        if PurePosixPath(path).name in _VERSION_PACKAGES and "test" not in path.split("/")
        for stamp in _candidates(path, folder, module)
    )


def meaning(name: str) -> str:
    """Return what a variable of this name is set to, with ``${...}``; empty for no idea."""
    for pattern, text in _TEXTS:
        found = pattern.fullmatch(name) if text in _WHOLE else pattern.search(name)
        if found:
            return text
    return ""


def string_variables(source: str) -> tuple[tuple[str, str], ...]:
    """Return the package variables of Go files that are strings, with their first values."""
    constants = _RUNTIME | {m["name"]: m["value"] for m in _CONSTANT.finditer(source)}
    return tuple((item.name, item.value) for item in _declared(source, constants))


def _scripted(tree: Path, packages: Mapping[str, Path]) -> Iterator[Stamp]:
    scripts = read_scripts(tree)
    shared = {k: v for text in scripts.values() for k, v in read_variables(text).items()}
    seen: set[str] = set()
    for script, text in scripts.items():
        variables = shared | read_variables(text)
        for match in (m for pattern in (_FLAG, _PRINTED) for m in pattern.finditer(text)):
            path = _package(expand(match["path"], variables), match["name"], packages)
            variable = f"{path}.{match['name']}"
            if path and variable not in seen:
                seen.add(variable)
                given = re.sub(r"[^\w ]+", "", match["value"])
                said = meaning(match["name"]) or meaning(given)
                yield Stamp(variable=variable, text=said, origin=script, found=True)


def _package(text: str, name: str, packages: Mapping[str, Path]) -> str:
    """Return the import path that a script names, also where it begins with a variable.

    One that is outside of the module, as ``istio.io/pkg/version`` was, is taken at its word.
    """
    if "$" not in text:
        return text if "/" in text or text == "main" else ""
    rest = re.sub(r"^.*\$(?:[({][^)}]*[)}]|\w+)", "", text).strip("/")
    fitting = [path for path in packages if rest and path.endswith(f"/{rest}")]
    having = [path for path in fitting if name in dict(_of_folder(packages[path]))]
    return having[0] if len(having) == 1 else ""


def _candidates(path: str, folder: Path, module: str) -> Iterator[Stamp]:
    for name, value in _of_folder(folder):
        text = meaning(name)
        is_open = value.lower() in _FILLERS or re.fullmatch(r"v?\d+\.\d+\S*", value)
        if text and is_open:
            origin = path.removeprefix(module).strip("/")
            yield Stamp(variable=f"{path}.{name}", text=text, origin=origin, found=False)


def _of_folder(folder: Path) -> tuple[tuple[str, str], ...]:
    files = [path for path in sorted(folder.glob("*.go")) if not path.name.endswith("_test.go")]
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in files)
    return string_variables("\n".join(texts))


def _declared(source: str, constants: Mapping[str, str]) -> Iterator[_Declared]:
    within = False
    for line in source.split("\n"):
        if line.startswith("var ("):
            within = True
        elif line.startswith(")"):
            within = False
        match = _VARIABLE.match(line)
        if match is None or (line.startswith("\t") and not within):
            continue
        value, constant = match["value"] or "", match["constant"] or ""
        if constant in constants:
            yield _Declared(name=match["name"], value=constants[constant])
        # Without a value, a type has to say that it is a string.
        elif match["value"] is not None or (not constant and re.search(r"\bstring\b", line)):
            yield _Declared(name=match["name"], value=value)
