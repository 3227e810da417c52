"""Constructs the builders and clients that a plan turns out to need, and no others."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from buildkit.pipeline.golang import GoSupply, make_pip
from buildkit.pipeline.imaging import ImageSupply
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.asked import asked_bases
from buildkit.plan.draft import Facts
from buildkit.plan.options import Goal
from buildkit.plan.planner import Presence, file_present, outputs_present
from buildkit.plan.sources import find_workspace
from buildkit.plan.units import Builder, Kind, Override
from buildkit.platform import Platform
from buildkit.proc import Runner

if TYPE_CHECKING:
    from docker import DockerClient

    from buildkit.build.download import Downloads
    from buildkit.http import HttpPool
    from buildkit.registry.client import RegistryClient


class Makers:
    """Who makes what in one run; each client is constructed when it is first needed."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._lock = threading.Lock()
        self._docker: DockerClient | None = None
        self.go = GoSupply(shop)
        self.images = ImageSupply(
            shop,
            docker=self.docker,
            registry=lambda: self.registry,
            pool=lambda: self.pool,
        )

    def facts(self, goals: frozenset[Goal]) -> Facts:
        """Find out what planning must know of this machine.

        Raises:
            EnvironmentMissingError: there is no usable Go, and none is locked.
        """
        shop = self._shop
        images = Goal.DOCKER in goals
        bases = self._cached_bases() if images else frozenset[str]()
        return Facts(
            go_version=self.go.release,
            workspace=find_workspace(str(shop.project.source)),
            assembler=self._assembler_version() if images else "",
            archive=self._archive(bases) if images else "",
            cached_bases=bases,
            no_bootstrap=self._no_bootstrap() if images else "",
            unrunnable=self.images.unrunnable,
            overrides=self._overrides(),
            daemon=self.images.daemon_platform() if images else None,
            outline=self.images.outline,
            find_program=lambda name: shutil.which(name, path=shop.environ.get("PATH")),
            host=shop.host,
        )

    def presence(self) -> Mapping[Kind, Presence]:
        """Return, per kind, how to tell whether what was made is still there."""
        file = file_present(self._shop.hasher)
        return {
            Kind.BINARY: file,
            Kind.FETCH: file,
            Kind.COMMAND: outputs_present(self._shop.hasher),
            Kind.BASE: self.images.base_present,
            Kind.IMAGE: self.images.image_present,
            Kind.PUSH: self.images.push_present,
            Kind.LOAD: self.images.load_present,
            Kind.LAYOUT: self.images.layout_present,
            Kind.OCI_ARCHIVE: file,
            Kind.DOCKER_ARCHIVE: file,
            Kind.DEB: file,
            Kind.RPM: file,
        }

    def blocked(self, goals: frozenset[Goal]) -> dict[Kind, str]:
        """Return, per kind, why it cannot be made on this machine now."""
        return self.images.blocked() if Goal.DOCKER in goals else {}

    def skipped(self, goals: frozenset[Goal]) -> dict[Kind, str]:
        """Return, per kind, why it is left out on this machine, which is no failure."""
        return self.images.skipped() if Goal.DOCKER in goals else {}

    def builders(self, kinds: set[Kind]) -> dict[Kind, Builder]:
        """Return a builder for each kind that has work."""
        makers = {
            Kind.BINARY: self.go.builder,
            Kind.FETCH: self._fetcher,
            Kind.COMMAND: self._commander,
            Kind.BASE: self.images.assembler,
            Kind.IMAGE: self.images.engine,
            Kind.PUSH: self.images.publisher,
            Kind.LOAD: self.images.loader,
            Kind.LAYOUT: self.images.layout_writer,
            Kind.OCI_ARCHIVE: self.images.archive_writer,
            Kind.DOCKER_ARCHIVE: self.images.archive_writer,
            Kind.DEB: self._packager,
            Kind.RPM: self._packager,
        }
        return {kind: makers[kind]() for kind in kinds}

    def frugal(self, kinds: set[Kind]) -> dict[Kind, Builder]:
        """Return builders that take less memory and longer, where there are such."""
        if Kind.BINARY not in kinds:
            return {}
        return {Kind.BINARY: replace(self.go.builder(), jobs=1)}

    @cached_property
    def pool(self) -> HttpPool:
        """Connections for downloads, with the configured mirrors."""
        from buildkit.http import HttpPool

        shop = self._shop
        return HttpPool(
            environ=shop.environ,
            mirrors=shop.project.config.mirrors,
            offline=bool(shop.options.offline),
        )

    @cached_property
    def plain_pool(self) -> HttpPool:
        """Connections without mirrors: for registries, and for what is published."""
        from buildkit.http import HttpPool

        shop = self._shop
        return HttpPool(environ=shop.environ, offline=bool(shop.options.offline))

    @cached_property
    def downloads(self) -> Downloads:
        """Files by URL, resumed where a transfer was cut."""
        from buildkit.build.download import Downloads

        mirrors = self._shop.project.config.mirrors
        return Downloads(store=self._shop.store, pool=self.pool, mirrors=mirrors)

    @cached_property
    def registry(self) -> RegistryClient:
        """The client of every registry, with the user's credentials."""
        shop = self._shop
        return registry_client(
            environ=shop.environ,
            pool=self.plain_pool,
            runner=shop.processes,
            warn=shop.reporter.warn,
            insecure=shop.project.config.registry.insecure,
        )

    def docker(self) -> DockerClient:
        """Return the client of the Docker daemon; asked from several threads.

        Raises:
            EnvironmentMissingError: there is none that answers.
        """
        from buildkit.images.daemon import connect

        with self._lock:
            if self._docker is None:
                self._docker = connect(self._shop.environ)
            return self._docker

    def _overrides(self) -> tuple[tuple[Platform, Override], ...]:
        shop = self._shop
        if not shop.options.envoy:
            return ()
        from buildkit.pipeline.overriding import Given

        return Given(
            config=shop.project.config,
            platforms=shop.settings.platforms,
            find_image=self.images.find_programs,
        ).overrides(shop.options.envoy)

    def _fetcher(self) -> Builder:
        from buildkit.build.fetch import FetchBuilder

        shop = self._shop
        return FetchBuilder(
            store=shop.store,
            downloads=self.downloads,
            pip=make_pip(shop),
            extract=self.images.extract,
            environ=shop.environ,
            offline=shop.settings.offline,
        )

    def _packager(self) -> Builder:
        from buildkit.pipeline.packaging import make_packager

        return make_packager(self._shop, self.go)

    def _commander(self) -> Builder:
        from buildkit.build.command import CommandBuilder

        shop = self._shop
        return CommandBuilder(
            runner=shop.processes,
            hasher=shop.hasher,
            environ=shop.environ,
            scratch=shop.state / "tmp",
        )

    def _assembler_version(self) -> str:
        from buildkit.images.bases import assembler_version

        return assembler_version(self._shop.project.config.project.name)

    def _cached_bases(self) -> frozenset[str]:
        book = self._shop.book
        ids = (unit for unit in book.units() if unit.startswith(f"{Kind.BASE}/"))
        return frozenset(unit for unit in ids if self._is_cached(unit))

    def _is_cached(self, unit: str) -> bool:
        record = self._shop.book.get(unit)
        return record is not None and (not record.path or Path(record.path).exists())

    def _no_bootstrap(self) -> str:
        from buildkit.images.bootstrap import MISSING, find_mmdebstrap

        return "" if find_mmdebstrap(self._shop.environ) else MISSING

    def _archive(self, cached: frozenset[str]) -> str:
        shop = self._shop
        if shop.options.debian_archive:
            return shop.options.debian_archive
        config = shop.project.config
        asked = asked_bases(config, shop.settings)
        wanted = {
            f"{Kind.BASE}/{name}@{platform}"
            for name, base in config.bases.items()
            for platform in shop.settings.platforms
            if name in asked
            and base.kind == "debian"
            and not base.archive
            and platform.os == "linux"
        }
        if wanted <= cached:
            return ""
        from buildkit.images.archive import host_archive

        found = shop.answers.once(
            "apt's archive",
            lambda: host_archive(shop.processes, shop.environ, shop.os_release),
        )
        return found or ""


def registry_client(
    *,
    environ: Mapping[str, str],
    pool: HttpPool,
    runner: Runner,
    warn: Callable[[str], None],
    insecure: Iterable[str],
) -> RegistryClient:
    """Return a client of every registry, with the user's credentials.

    Args:
        environ: the user's environment.
        pool: moves the bytes; one without mirrors.
        runner: starts credential helpers.
        warn: takes what is wrong with the kept credentials.
        insecure: registries beyond loopback that speak plain http.
    """
    from buildkit.registry.client import RegistryClient
    from buildkit.registry.credentials import DockerCredentials

    credentials = DockerCredentials(environ=environ, runner=runner, warn=warn)
    return RegistryClient(pool=pool, credentials=credentials, insecure=frozenset(insecure))
