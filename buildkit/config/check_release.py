"""What must hold in ``[release]`` and ``[publish]``, and between them and the other tables."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from buildkit.config.check import binary_platforms
from buildkit.config.check_names import check_variables
from buildkit.config.commands import COMMAND_FILE, check_output
from buildkit.config.interpolate import STABLE
from buildkit.config.model import Config
from buildkit.config.problems import Problems, near_miss
from buildkit.config.release_model import Publish, ReleaseArchive
from buildkit.errors import ConfigError
from buildkit.reference import check_tag, split_hub

PLACE = frozenset({"version", "project"})
"""What the place of a publish may use; one place gets all platforms."""

ENVIRONMENT = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")
"""A variable of the environment in a header."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_NEEDED = {"registry": "hub", "directory": "directory", "put": "url", "github": "repository"}


def check_release(config: Config, root: Path, problems: Problems) -> None:
    """Add every mistake in a release and its archives to ``problems``."""
    _license(config.release.license, root, problems)
    for name, archive in config.release.archives.items():
        path = f"release.archives.{name}"
        _names(archive, path, problems)
        for binary in archive.binaries:
            _binary(config, archive, binary, f"{path}.binaries", problems)
        for words in archive.generated.values():
            _program(config, words, f"{path}.generated", problems)
        for platform in archive.platforms or ():
            if platform not in config.matrix.platforms:
                hint = near_miss(platform, config.matrix.platforms)
                problems.add(f"{path}.platforms", f"unknown platform '{platform}'", hint)
        _places(archive, path, problems)
        for file in archive.files.values():
            if file.startswith(COMMAND_FILE):
                there = archive_platforms(config, archive)
                check_output(config, file, there, f"{path}.files", problems)
            elif not (root / file).exists():
                problems.add(f"{path}.files", f"'{file}' does not exist")
        if not (archive.binaries or archive.files or archive.generated):
            problems.add(path, "there is nothing in it", "name binaries or files")


def _license(named: bool | str, root: Path, problems: Problems) -> None:
    if isinstance(named, str) and not (named and (root / named).exists()):
        hint = "" if named else "write false for a project without one"
        problems.add("release.license", f"'{named}' does not exist", hint)


def archive_platforms(config: Config, archive: ReleaseArchive) -> tuple[str, ...]:
    """Return an archive's platforms: its own, or those that all its binaries exist for."""
    if archive.platforms is not None:
        return archive.platforms
    return tuple(
        platform
        for platform in config.matrix.platforms
        if all(platform in binary_platforms(config, name) for name in archive.binaries)
    )


def check_publish(config: Config, problems: Problems) -> None:
    """Add every mistake in the places of a publish to ``problems``."""
    for name, place in config.publish.items():
        path = f"publish.{name}"
        needed = _NEEDED[place.kind]
        if not getattr(place, needed):
            problems.add(path, f"kind {place.kind} needs {needed}")
        for kind, key in _NEEDED.items():
            if kind != place.kind and getattr(place, key):
                problems.add(f"{path}.{key}", f"that is for kind {kind}, this is a {place.kind}")
        _address(place, path, problems)
        for key in ("hub", "directory", "url"):
            check_variables(getattr(place, key), PLACE, f"{path}.{key}", problems)
        for tag in (*place.tags, *place.channels):
            _tag(tag, path, problems)
        for text in place.headers.values():
            check_variables(ENVIRONMENT.sub("", text), (), f"{path}.headers", problems)


def _address(place: Publish, path: str, problems: Problems) -> None:
    if place.url and not re.match(r"https?://", place.url):
        problems.add(f"{path}.url", f"'{place.url}' is no https URL")
    if place.repository and not _REPOSITORY.fullmatch(place.repository):
        problems.add(f"{path}.repository", f"'{place.repository}' is no owner/name")
    if place.hub:
        try:
            split_hub(place.hub.replace("${project}", "x").replace("${version}", "x"))
        except ConfigError as error:
            problems.add(f"{path}.hub", error.brief)


def _tag(tag: str, path: str, problems: Problems) -> None:
    check_variables(tag, PLACE, f"{path}.tags", problems)
    try:
        check_tag(tag.replace("${project}", "x").replace("${version}", "1"))
    except ConfigError as error:
        problems.add(f"{path}.tags", error.brief)


def _names(archive: ReleaseArchive, path: str, problems: Problems) -> None:
    for key, text in (("name", archive.name), ("folder", archive.folder)):
        check_variables(text, STABLE, f"{path}.{key}", problems)
    plain = re.sub(r"\$\{[^}]*\}", "x", archive.name)
    if not _NAME.fullmatch(plain):
        problems.add(f"{path}.name", f"'{archive.name}' is no name of a file")
    if not archive.formats:
        problems.add(f"{path}.formats", "no format", "name tar.gz, zip or both")


def _binary(
    config: Config, archive: ReleaseArchive, name: str, path: str, problems: Problems
) -> None:
    known = config.binaries.keys() | config.fetch.keys()
    if name not in known:
        problems.add(path, f"unknown binary '{name}'", near_miss(name, known))
        return
    for platform in archive.platforms or ():
        if platform not in binary_platforms(config, name):
            problems.add(path, f"'{name}' is not made for {platform}")


def _program(config: Config, words: tuple[str, ...], path: str, problems: Problems) -> None:
    name = words[0] if words else ""
    if name not in config.binaries:
        problems.add(path, f"unknown binary '{name}'", near_miss(name, config.binaries))


def _places(archive: ReleaseArchive, path: str, problems: Problems) -> None:
    places = [*archive.binaries.values(), *archive.files, *archive.generated]
    for place in (archive.folder, *places):
        parts = PurePosixPath(place).parts
        if place.startswith("/") or ".." in parts:
            problems.add(path, f"'{place}' leaves the archive")
    for place in sorted({place for place in places if places.count(place) > 1}):
        problems.add(path, f"'{place}' is the place of two things")
