"""The table of Dockerfiles, and what an image is made of, read from its bytes."""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
import tomllib
from collections.abc import Callable, Iterable
from io import BufferedIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
from msgspec import Struct

from buildkit.images.layers import Layers
from buildkit.images.sheet import Sheet
from buildkit.platform import Platform

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "buildkit.json"

_COMPARED = (
    *("Env", "Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts", "Volumes", "Labels"),
    *("Healthcheck", "StopSignal", "Shell", "OnBuild"),
)
_OURS = "org.opencontainers.image."

Open = Callable[[], BufferedIOBase]
Observed = dict[str, Any]
"""``config`` and ``files`` of an image, or ``error``."""


class Case(Struct, frozen=True, kw_only=True):
    """One Dockerfile of the table; see the head of dockerfiles.toml."""

    name: str
    text: str
    base: str = "full"
    platform: str = "linux/amd64"
    refused: str = ""
    why: str = ""
    newer: str = ""
    classic: str = ""

    @property
    def target(self) -> Platform:
        """What to build for."""
        return Platform.parse(self.platform)

    def dockerfile(self, name: Callable[[str], str]) -> str:
        """Return the text with a name for each image."""
        text = self.text
        if "FROM " not in text.upper():
            text = "FROM {{ base }}\n" + text.removeprefix("\n")
        text = text.removeprefix("\n")
        return text.replace("{{ base }}", name(self.base)).replace("{{ other }}", name("other"))


def cases() -> tuple[Case, ...]:
    """Return the table."""
    with (FOLDER / "dockerfiles.toml").open("rb") as stream:
        value = tomllib.load(stream)
    return msgspec.convert(value["case"], tuple[Case, ...])


class Newer(Struct, frozen=True, kw_only=True):
    """What a BuildKit of this version makes of some cases."""

    buildkit: str
    cases: dict[str, Observed]


class Results(Struct, frozen=True, kw_only=True):
    """What BuildKit made of each case, files that are as in the base left out.

    ``cases`` is what the BuildKit of a 20.10 daemon made, ``newer`` what a current one
    makes where the two differ.
    """

    buildx: str
    daemon: str
    cases: dict[str, Observed]
    newer: Newer


def results() -> Results:
    """Return what is kept."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=Results)


def expected(case: Case, below: Observed) -> Observed:
    """Return what an engine has to make of a case whose base is ``below``."""
    found = results()
    kept = found.newer.cases if case.newer else found.cases
    return lengthen(kept[case.name], below)


def observe(sheet: Sheet, layers: Layers) -> Observed:
    """Return an image's config, and what each path of its file system is."""
    return observe_parts(sheet.config.encode(), (layers.plain(layer)[0] for layer in sheet.layers))


def observe_parts(config: bytes, tars: Iterable[Open]) -> Observed:
    """Return the same of an image's config and its plain tars, the lowest first.

    It reads the tars themselves, not the values that they were made from.
    """
    value = msgspec.json.decode(config)
    seen = {key: item for key in _COMPARED if (item := (value.get("config") or {}).get(key))}
    labels = {k: v for k, v in seen.pop("Labels", {}).items() if not k.startswith(_OURS)}
    if labels:
        seen["Labels"] = labels
    platform = Platform(value["os"], value["architecture"], value.get("variant", ""))
    return {"platform": str(platform), "config": seen, "files": merge(tars)}


def merge(tars: Iterable[Open]) -> dict[str, str]:
    """Lay plain tars over each other, as the OCI specification's layer.md says."""
    found: dict[str, str] = {}
    for opened in tars:
        with opened() as stream, tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|") as held:
            added, gone = _read(held)
        for path in gone:
            _remove(found, path)
        for path, line in added.items():
            if path in found and found[path].startswith("directory") != line.startswith(
                "directory"
            ):
                _remove(found, path)
            found[path] = found[line[5:]] if line.startswith("hard ") else line
    return dict(sorted(found.items()))


def _read(archive: tarfile.TarFile) -> tuple[dict[str, str], list[str]]:
    added, gone = {}, []
    for member in archive:
        path = posixpath.normpath(member.name).lstrip("/")
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            gone.append(folder + "/")
        elif name.startswith(".wh."):
            gone.append(posixpath.join(folder, name.removeprefix(".wh.")))
        elif path != ".":
            added[path] = _line(archive, member)
    return added, gone


def _remove(found: dict[str, str], path: str) -> None:
    below = path if path.endswith("/") else f"{path}/"
    for name in tuple(found):
        if name == path or name.startswith(below):
            del found[name]


def _line(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    about = f"{member.mode & 0o7777:04o} {member.uid}:{member.gid}"
    if member.isdir():
        return f"directory {about}"
    if member.issym():
        return f"link {member.uid}:{member.gid} {member.linkname}"
    if member.islnk():
        return f"hard {posixpath.normpath(member.linkname).lstrip('/')}"
    source = archive.extractfile(member)
    data = source.read() if source and member.isreg() else b"special"
    return f"file {about} {len(data)} {hashlib.sha256(data).hexdigest()}"


def shorten(seen: Observed, below: Observed) -> Observed:
    """Leave out the files that are as in the base; one that is gone becomes null."""
    if "files" not in seen:
        return seen
    before, after = below["files"], seen["files"]
    differ = {path for path in before | after if before.get(path) != after.get(path)}
    return {**seen, "files": {path: after.get(path) for path in sorted(differ)}}


def lengthen(short: Observed, below: Observed) -> Observed:
    """Undo :func:`shorten`."""
    if "files" not in short:
        return short
    files = {**below["files"], **short["files"]}
    return {**short, "files": {path: files[path] for path in sorted(files) if files[path]}}
