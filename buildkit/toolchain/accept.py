"""Which versions of Go a project accepts.

The order of versions is Go's own (package ``go/version``, and "Version order" in
https://go.dev/doc/toolchain): 1.21 < 1.21rc1 < 1.21.0, and below 1.21 the release
1.20 is 1.20.0, after its candidates.
"""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from buildkit.errors import ConfigError

_PARTS = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:(alpha|beta|rc)(\d+))?")
_LINE = re.compile(r"^\s*(go|toolchain)\s+(?:go)?(\d\S*)", re.MULTILINE)
_FIRST_WITH_LANGUAGE_ORDER = 21
"""Since Go 1.21 a first release is written 1.21.0, and 1.21 is the language alone."""

Key = tuple[int, int, int, str, int]


def version_key(version: str) -> Key:
    """Return a key that sorts as Go sorts.

    Raises:
        ValueError: the text is no Go version.
    """
    match = _PARTS.match(version)
    if match is None:
        message = f"not a Go version: {version!r}"
        raise ValueError(message)
    major, minor, patch, kind, pre = match.groups()
    if patch is None and not kind and int(minor or 0) < _FIRST_WITH_LANGUAGE_ORDER:
        patch = "0"
    return (int(major), int(minor or 0), -1 if patch is None else int(patch), kind or "", _int(pre))


def compare_versions(one: str, other: str) -> int:
    """Return a negative number, zero or a positive number as Go orders the two.

    Raises:
        ValueError: one of them is no Go version.
    """
    left, right = version_key(one), version_key(other)
    return (left > right) - (left < right)


class Wanted(Struct, frozen=True, kw_only=True):
    """What a project asks of its Go."""

    minimum: str = ""
    origin: str = ""
    """The file whose line gives the minimum: ``go.mod`` or ``go.work``."""
    specifier: str = ""
    """As ``>=1.25,<1.27``, from targets.toml."""

    def refusal(self, version: str) -> str:
        """Return what is wanted where a version is not it, else nothing.

        Raises:
            ConfigError: the specifier is none.
        """
        if self.minimum and compare_versions(version, self.minimum) < 0:
            return f"{self.origin} wants {self.minimum} or newer"
        if self.specifier and not _meets(version, self.specifier):
            return f"targets.toml ([go] version) wants {self.specifier}"
        return ""


def read_wanted(source: Path, specifier: str) -> Wanted:
    """Read the ``go`` and ``toolchain`` lines of the go.work and go.mod in force.

    Both count as minimum, as they do for ``GOTOOLCHAIN=auto``: a Go older than the
    first refuses the module, one older than the second is not what its owner uses.
    """
    best, origin = "", ""
    for name in ("go.mod", "go.work"):
        for version in _versions(source, name):
            if not best or compare_versions(version, best) > 0:
                best, origin = version, name
    return Wanted(minimum=best, origin=origin, specifier=specifier)


def _versions(source: Path, name: str) -> list[str]:
    for directory in (source, *source.absolute().parents):
        try:
            text = (directory / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        return [match[2] for match in _LINE.finditer(text)]
    return []


def _meets(version: str, specifier: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - seldom needed

    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise ConfigError(
            f"[go] version = '{specifier}' is no version specifier",
            details=str(error),
            resolution="Write it as in >=1.25 or >=1.25,<1.27.",
        ) from error


def _int(text: str | None) -> int:
    return int(text) if text else 0
