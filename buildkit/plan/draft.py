"""The state shared while units are made: inputs, and what turned out to be missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from buildkit.config.interpolate import VOLATILE, escape, interpolate, names_in
from buildkit.config.load import Project
from buildkit.config.model import Config
from buildkit.plan.outline import ReadOutline, no_outline
from buildkit.plan.settings import Settings
from buildkit.plan.units import Override, Unit
from buildkit.platform import Platform

Texts = tuple[tuple[str, str], ...]


class Facts(Struct, frozen=True, kw_only=True):
    """What was found out about this machine before planning."""

    go_version: str
    workspace: str = ""
    """The go.work in force, relative to the source; empty where there is none."""
    assembler: str = ""
    """What assembles bases, certificates and time zones included, by version."""
    archive: str = ""
    """The URL of a Debian archive for bases that name none; empty where there is none."""
    cached_bases: frozenset[str] = frozenset()
    """Unit ids of bases whose layer lies in the user's cache."""
    no_bootstrap: str = ""
    """Why no base of that kind can be made here; empty where it can."""
    unrunnable: Callable[[str], str] = lambda _: ""
    """Says why programs of an architecture do not run in containers here; empty where they do."""
    overrides: tuple[tuple[Platform, Override], ...] = ()
    """Envoys that the user gave, each by its machine type."""
    daemon: Platform | None = None
    """What the Docker daemon runs, or would run; None where no image is asked for."""
    outline: ReadOutline = no_outline
    """Reads what a Dockerfile that is used as it is asks for."""
    find_program: Callable[[str], str | None] = lambda _: None
    """Returns the path of a program that children find, None where there is none."""
    host: Platform = field(default_factory=Platform.host)
    """What commands run on, with the binaries that they start."""


class Draft(Struct, kw_only=True):
    """Units made so far, by id, needs first."""

    project: Project
    settings: Settings
    facts: Facts
    units: dict[str, Unit] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Unit id that the configuration does not have, and why; nobody expects it."""
    blocked: dict[str, str] = field(default_factory=dict)
    """Unit id that should exist and cannot, and why."""
    notes: list[str] = field(default_factory=list)
    tools: set[str] = field(default_factory=set)
    """Unit ids of binaries that are made only where a command starts them."""
    base_notes: dict[str, str] = field(default_factory=dict)
    """Unit id of an image, and why it does not start from the first base of its list."""
    made: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Image, variant and platform, and the id of the unit that makes it."""
    making: list[tuple[str, str, str]] = field(default_factory=list)
    """The images whose units are being made, each for the one before it."""

    def aside(self) -> Draft:
        """Return a draft with the same units whose notes and problems are nobody's."""
        return replace(self, missing={}, blocked={}, notes=[], base_notes={})

    @property
    def config(self) -> Config:
        """The checked configuration."""
        return self.project.config

    def add(self, unit: Unit) -> None:
        """Keep a unit."""
        self.units[unit.id] = unit

    def output(self, platform: Platform, name: str) -> Path:
        """Return where a binary of a platform goes."""
        return self.settings.out / platform.slug / f"{name}{platform.executable_suffix}"

    def values(self, platform: Platform) -> dict[str, str]:
        """Return the stable variables of one platform."""
        return {
            "version": self.settings.version.text,
            "project": self.config.project.name,
            "hub": self.config.project.release_hub,
            "os": platform.os,
            "arch": platform.arch,
        }


def split_stable(texts: dict[str, str], values: dict[str, str]) -> tuple[Texts, Texts]:
    """Part texts into those whose values are known now and those that use volatile names."""
    # What stays volatile is interpolated once more, so its dollar signs are kept as they are.
    partly = {name: escape(value) for name, value in values.items()}
    partly |= {name: f"${{{name}}}" for name in VOLATILE}
    stable: list[tuple[str, str]] = []
    volatile: list[tuple[str, str]] = []
    for key, text in sorted(texts.items()):
        if names_in(text) & VOLATILE:
            volatile.append((key, interpolate(text.replace("$$", "$$$$"), partly)))
        else:
            stable.append((key, interpolate(text, values)))
    return tuple(stable), tuple(volatile)
