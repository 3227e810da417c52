"""What a Dockerfile that is used as it is asks for: images to start from, names that it copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.errors import ConfigError
from buildkit.platform import Platform


class Line(Struct, frozen=True, kw_only=True):
    """A line of a Dockerfile, for messages."""

    file: str
    number: int
    text: str

    def error(self, problem: str, *, resolution: str = "") -> ConfigError:
        """Return an error that points at it."""
        return ConfigError(
            f"{self.file}, line {self.number}: {problem}", details=self.text, resolution=resolution
        )


class Start(Struct, frozen=True, kw_only=True):
    """An image that a stage starts from or copies from, by the name that is written."""

    name: str
    platform: Platform
    line: Line


class Copied(Struct, frozen=True, kw_only=True):
    """A path that is copied from the build context, normal and relative to it."""

    path: str
    line: Line


class Outline(Struct, frozen=True, kw_only=True):
    """What the stages that count ask for; equal outlines of one file give equal images.

    ``base`` is the start below the last stage, ``declared`` every ARG of the file, and
    ``args`` are the given values that reach an instruction of a stage that counts.
    """

    stages: tuple[int, ...]
    starts: tuple[Start, ...]
    base: Start
    copied: tuple[Copied, ...]
    declared: frozenset[str]
    args: tuple[tuple[str, str], ...]


ReadOutline = Callable[[Path, Mapping[str, str], Platform, str], Outline]
"""Gives the outline of a file for arguments, a platform and the stage that is the image."""


def no_outline(path: Path, _args: Mapping[str, str], _platform: Platform, _target: str) -> Outline:
    """Read nothing, where no image is from a Dockerfile as it is.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(f"{path} cannot be read here")
