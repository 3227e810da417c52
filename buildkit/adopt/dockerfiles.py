"""Dockerfiles of a tree: those that copy what was built before, and those that compile."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from msgspec import Struct

from buildkit.adopt.model import Image
from buildkit.adopt.walk import files_below
from buildkit.errors import ConfigError
from buildkit.images.dockerfile import Dockerfile, Instruction, parse
from buildkit.images.words import WordError, expand

_FILE = re.compile(r"(?:(?P<before>.+)\.)?[Dd]ockerfile(?:[.-](?P<after>.+))?")
_COMPILES = re.compile(
    r"(?:^|[\s;&|(])(?:go\s+(?:build|install|run)|make|cargo|npm|yarn|bazel|ko|mage)(?=\s|$)"
)
_GO_IMAGE = re.compile(r"(?:^|/)golang(?::|@|$)")
_VAGUE = frozenset({"build", "container", "docker", "dockerfiles", "image", "images", "package"})
_PLATFORM = {"TARGETOS": "linux", "TARGETARCH": "amd64", "TARGETPLATFORM": "linux/amd64"}


class Adopted(Struct, frozen=True, kw_only=True):
    """What became of the Dockerfiles: images, and what is told of the others."""

    images: tuple[Image, ...] = ()
    undecided: tuple[str, ...] = ()


def find_dockerfiles(tree: Path) -> Iterator[str]:
    """Yield the Dockerfiles below a tree, in order."""
    for path in files_below(tree):
        match = _FILE.fullmatch(path.name)
        if match and match["after"] not in {"dockerignore", "j2", "tmpl"}:
            yield path.relative_to(tree).as_posix()


def adopt_dockerfiles(tree: Path, binaries: Iterable[str]) -> Adopted:
    """Make an image of each Dockerfile that copies one of the binaries.

    Args:
        tree: the root of the source tree.
        binaries: the names of everything that is compiled or fetched.
    """
    known = frozenset(binaries)
    images: dict[str, Image] = {}
    told: list[str] = []
    for path in find_dockerfiles(tree):
        try:
            file = parse((tree / path).read_text(encoding="utf-8", errors="replace"), origin=path)
        except ConfigError as error:
            told.append(f"{path} cannot be read as a Dockerfile: {error.brief}")
            continue
        if line := compiling_line(file):
            told.append(f"{path} compiles by itself (line {line}), so it is not adopted")
            continue
        image = _image(tree, path, file, known)
        if image is None:
            told.append(f"{path} copies no binary of this tree, so it is not adopted")
        elif image.name in images:
            told.append(f"{path} is a second '{image.name}', so it is not adopted")
        else:
            images[image.name] = image
    return Adopted(images=tuple(images.values()), undecided=tuple(told))


def compiling_line(file: Dockerfile) -> int:
    """Return the line at which a Dockerfile starts to compile; 0 where it does not."""
    for item in file.instructions:
        if item.name == "FROM" and _GO_IMAGE.search(item.words[0]):
            return item.line
        if item.name == "RUN" and _COMPILES.search(item.value):
            return item.line
    return 0


def copied_paths(file: Dockerfile) -> Iterator[str]:
    """Yield what COPY and ADD take from the context, ARGs put in as on linux/amd64."""
    values: dict[str, str] = {}
    for item in file.instructions:
        if item.name == "ARG":
            values |= _defaults(item)
        elif item.name in {"COPY", "ADD"} and item.flag("from") is None and not item.heredocs:
            for word in (word for word in item.words[:-1] if "://" not in word):
                try:
                    yield expand(word, values | _PLATFORM).removeprefix("./").lstrip("/")
                except WordError:
                    yield word


def _defaults(item: Instruction) -> dict[str, str]:
    pairs = (word.partition("=") for word in item.words)
    # One without a default is kept visible for the reader.
    return {name: value.strip("\"'") if equals else f"<{name}>" for name, equals, value in pairs}


def _image(tree: Path, path: str, file: Dockerfile, known: frozenset[str]) -> Image | None:
    used: list[str] = []
    files: dict[str, str] = {}
    missing: list[str] = []
    for copied in copied_paths(file):
        name = PurePosixPath(copied).name
        if name in known and not (tree / copied).is_file():
            used.append(name)
        elif place := _place(tree, path, copied):
            files[copied.rstrip("/")] = place
        else:
            missing.append(copied)
    if not used:
        return None
    reason = f"copies what is neither in the tree nor built here: {', '.join(missing)}"
    return Image(
        name=_name(path, used),
        dockerfile=path,
        files=files,
        left_out=reason if missing else "",
    )


def _place(tree: Path, dockerfile: str, copied: str) -> str:
    """Return where a copied path lies below the tree: from its root, or beside the Dockerfile."""
    beside = PurePosixPath(dockerfile).parent.as_posix()
    for root in (".", beside):
        found = (tree / root / copied).resolve()
        if copied.strip("./") and found.exists() and found.is_relative_to(tree):
            return found.relative_to(tree).as_posix()
    return ""


def _name(path: str, used: list[str]) -> str:
    match = _FILE.fullmatch(PurePosixPath(path).name)
    given = (match["before"] or match["after"]) if match else ""
    folders = [part for part in PurePosixPath(path).parts[:-1] if part not in _VAGUE]
    name = given or (folders[-1] if folders else used[0])
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._") or used[0]


def own_arguments(files: Mapping[str, str]) -> dict[str, str]:
    """Return the ARGs that Dockerfiles declare, with the first default of each.

    Args:
        files: their texts by their names; one that cannot be read declares nothing.
    """
    found: dict[str, str] = {}
    for origin, text in files.items():
        try:
            instructions = parse(text, origin=origin).instructions
        except ConfigError:
            continue
        for item in instructions:
            if item.name == "ARG":
                found = _defaults(item) | found
    return found
