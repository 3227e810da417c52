"""Dockerfiles of a tree: those that copy what was built before, and those that compile."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
_MEANINGS = {
    **dict.fromkeys(("ARCH", "GOARCH", "TARGET_ARCH"), "${arch}"),
    **dict.fromkeys(("OS", "GOOS", "TARGET_OS"), "${os}"),
    "VERSION": "${version}",
}
"""What scripts put into ARGs of these names; Docker itself knows none of them."""
_EXAMPLE = {"${arch}": "amd64", "${os}": "linux"}


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


def read_dockerfile(tree: Path, path: str) -> Dockerfile:
    """Read a Dockerfile by its path below the tree.

    Raises:
        OSError: it is not there.
        ConfigError: it is none; the message names the line.
    """
    return parse((tree / path).read_text(encoding="utf-8", errors="replace"), origin=path)


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
            file = read_dockerfile(tree, path)
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
            values |= {name: _example(name, text) for name, text in _defaults(item).items()}
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


def _example(name: str, default: str) -> str:
    return _EXAMPLE.get(_MEANINGS.get(name, ""), default) if _is_open(name, default) else default


def _is_open(name: str, default: str) -> bool:
    return default == f"<{name}>" and name not in _PLATFORM


def copied_names(tree: Path) -> Iterator[str]:
    """Yield the names of files that the Dockerfiles of a tree copy and that it does not have."""
    for path in find_dockerfiles(tree):
        try:
            file = read_dockerfile(tree, path)
        except ConfigError:
            continue
        if not compiling_line(file):
            missing = (copied for copied in copied_paths(file) if not _place(tree, path, copied))
            yield from (PurePosixPath(copied).name for copied in missing)


def open_arguments(tree: Path, images: Iterable[Image]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return values of ARGs that have no default, and a sentence for each Dockerfile with others.

    Args:
        tree: the root of the source tree.
        images: those of its Dockerfiles.
    """
    values: dict[str, str] = {}
    told: list[str] = []
    for image in (image for image in images if not image.left_out):
        declared = own_arguments(tree, image.dockerfile)
        names = [name for name, default in declared.items() if _is_open(name, default)]
        values |= {name: _MEANINGS[name] for name in names if name in _MEANINGS}
        if unknown := sorted(set(names) - _MEANINGS.keys()):
            told.append(
                f"{image.dockerfile} has no default for ARG {', '.join(unknown)}: "
                "what it needs belongs into [args]"
            )
    return values, tuple(told)


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


def own_arguments(tree: Path, path: str) -> dict[str, str]:
    """Return the ARGs that a Dockerfile declares, with the first default of each.

    One that cannot be read declares nothing.
    """
    found: dict[str, str] = {}
    try:
        file = read_dockerfile(tree, path)
    except (OSError, ConfigError):
        return found
    for item in file.instructions:
        if item.name == "ARG":
            found = _defaults(item) | found
    return found
