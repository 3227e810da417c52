"""Constructs the builders and clients that a plan turns out to need, and no others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from buildkit.build.golang import GoBuilder, GoCommand
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.draft import Facts
from buildkit.plan.options import Goal
from buildkit.plan.planner import Presence, file_present
from buildkit.plan.units import Builder, Kind

if TYPE_CHECKING:
    from docker import DockerClient


class Makers:
    """Who makes what in one run."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop

    def facts(self, goals: frozenset[Goal]) -> Facts:
        return Facts(go_version="1.26.8", overrides=self._shop.overrides())

    def ensure_registry(self) -> None: ...
    def find_registry(self) -> None: ...
    def notes(self) -> tuple[str, ...]:
        return ()

    def presence(self) -> Mapping[Kind, Presence]:
        f = file_present(self._shop.hasher)
        return {Kind.BINARY: f, Kind.FETCH: f, Kind.BASE: f}

    def blocked(self, goals: frozenset[Goal]) -> dict[Kind, str]:
        return {}

    def builders(self, kinds: set[Kind]) -> dict[Kind, Builder]:
        return {kind: getattr(self, f"_{kind}")() for kind in kinds}

    def _binary(self) -> Builder:
        import os

        return GoBuilder(
            go=lambda: GoCommand(
                program=Path(shutil.which("go")),
                environment={**os.environ, "GOFLAGS": "", "GOENV": "off"},
            ),
            runner=self._shop.processes,
            hasher=self._shop.hasher,
            volatile=self._shop.volatile,
            jobs=self._shop.settings.jobs,
            scratch=self._shop.state / "tmp",
        )
