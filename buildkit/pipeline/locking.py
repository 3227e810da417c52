"""`invoke lock`: resolve everything that comes from outside, and write it down."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import msgspec

from buildkit.build.pins import ModuleSums, any_go, resolve_go, resolve_tool
from buildkit.build.resolver import Resolver
from buildkit.config.environment import ENVOY_VERSION
from buildkit.config.layers import local_path
from buildkit.config.lock import (
    GoPin,
    Lock,
    PackagePin,
    SourcePin,
    ToolPin,
    load_lock,
    lock_path,
    save_lock,
)
from buildkit.config.model import Base
from buildkit.config.problems import near_miss
from buildkit.errors import EnvironmentMissingError, FetchError, RegistryError, UsageError
from buildkit.images.archive import DebianArchive, debian_architecture, host_archive
from buildkit.images.packages import resolve_packages
from buildkit.images.remote import read_manifest
from buildkit.oci.config import ImageConfig
from buildkit.oci.model import INDEXES, Descriptor
from buildkit.pipeline.golang import make_pip
from buildkit.pipeline.local import TOOL
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.dockerfile_units import Wanted, registry_starts
from buildkit.plan.draft import Draft, Facts
from buildkit.plan.options import Options, split_list
from buildkit.platform import Platform
from buildkit.reference import Reference, mirrored
from buildkit.toolchain import Toolchain, find_go, read_wanted

_HOSTS = ("darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64")
"""Where people build; a toolchain is pinned for each."""
_CONFIG_LIMIT = 8 << 20
_SOURCE = "source"
_PINNED = ("debian", "registry")
_REGISTRY = ("github.com/distribution/distribution/v3", "v3.1.2")


def write_lock(options: Options) -> None:
    """Pin Go, fetched binaries, bases and tools, and write the lock if it changed.

    ``--only`` limits it to some fetched binaries and bases, ``source``, ``go`` or ``tools``.

    Raises:
        BuildkitError: something cannot be resolved; the lock stays as it was.
    """
    if options.offline:
        raise UsageError("invoke lock asks the sources, so it cannot be --offline")
    only = split_list(options.only)
    shop = Workshop.open(options, refresh=not only or _SOURCE in only)
    own = {
        "--set": options.set,
        local_path(shop.project.targets).name: shop.project.is_local,
        f"{ENVOY_VERSION} in the environment": shop.environ.get(ENVOY_VERSION),
    }
    if what := ", ".join(name for name, is_given in own.items() if is_given):
        shop.reporter.warn(f"{what} is in force: the lock pins what it says, for everybody")
    writer = _LockWriter(shop)
    writer.check_only()
    path = lock_path(shop.project.targets)
    before = load_lock(path)
    with shop.store.in_use():
        after = without_gaps(writer.resolve(before))
    changed = after != before or not path.exists()
    if options.json:
        print_json({"lock": str(path), "changed": changed})
    if not changed:
        shop.reporter.note(f"{path.name} is up to date")
    else:
        save_lock(path, after)
        shop.reporter.note(f"wrote {path}")


def without_gaps(lock: Lock) -> Lock:
    """Leave out the tables of what has no pin, as after ``--only`` on a new lock."""
    fetch = {name: pins for name, pins in lock.fetch.items() if pins}
    registry = {name: pins for name, pins in lock.registry.items() if pins}
    return msgspec.structs.replace(lock, fetch=fetch, registry=registry)


class _LockWriter:
    """Resolves the parts of one lock."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._makers = Makers(shop)
        self._pip = make_pip(shop)
        self._only = split_list(shop.options.only)

    def check_only(self) -> None:
        """Refuse a name that has nothing to pin.

        Raises:
            UsageError: ``--only`` holds one.
        """
        config = self._shop.project.config
        pinned = {name for name, base in config.bases.items() if base.kind in _PINNED}
        own = {name for name, image in config.images.items() if image.dockerfile}
        names = {"go", "tools", _SOURCE, *config.fetch, *pinned, *own}
        for name in self._only:
            if name not in names and name not in self._starts:
                raise UsageError(
                    f"--only {name}: nothing of this name is in a lock",
                    details=near_miss(name, names),
                )

    def resolve(self, before: Lock) -> Lock:
        """Return the lock with every chosen part resolved anew."""
        config = self._shop.project.config
        found = find_go(self._shop.environ, self._shop.processes, self._shop.project.source)
        go, tools = before.go, dict(before.tools)
        if self._wants("go") or self._wants("tools"):
            with any_go(found, self._pip, self._shop.host) as toolchain:
                sums = ModuleSums(
                    go=toolchain, environ=self._shop.environ, runner=self._shop.processes
                )
                go = self._go(before.go, found, sums) if self._wants("go") else go
                tools = self._tools(sums) if self._wants("tools") else tools
        return Lock(
            source=self._source(),
            go=go,
            tools=tools,
            fetch={
                name: self._fetch(name, before) if self._wants(name) else before.fetch.get(name, {})
                for name in config.fetch
            },
            debian={
                name: self._debian(name, base) if self._wants(name) else before.debian.get(name, {})
                for name, base in config.bases.items()
                if base.kind == "debian"
            },
            registry={
                name: self._manifests(base) if self._wants(name) else before.registry.get(name, {})
                for name, base in config.bases.items()
                if base.kind == "registry"
            }
            | self._references(before),
        )

    def _source(self) -> SourcePin | None:
        pin, tree = self._shop.source_pin, self._shop.project.config.project.source
        if isinstance(tree, str) or tree.url:
            return None
        if pin is None:
            # Another tree is named by --source; what was pinned stays.
            return self._shop.project.lock.source
        self._shop.reporter.note(f"{_SOURCE:<11} {pin.ref} is {pin.commit}")
        return pin

    def _wants(self, part: str) -> bool:
        return not self._only or part in self._only

    def _go(self, before: GoPin | None, found: Toolchain | None, sums: ModuleSums) -> GoPin:
        version = self._go_version(before, found)
        self._shop.reporter.note(f"go          {version}")
        hosts = [Platform.parse(host) for host in _HOSTS]
        return resolve_go(version, hosts, sums, self._pip, self._shop.reporter.warn)

    def _go_version(self, before: GoPin | None, found: Toolchain | None) -> str:
        """Return what targets.toml names, else what is locked, else what is on PATH."""
        config = self._shop.project.config.go
        if config.toolchain:
            return config.toolchain
        wanted = read_wanted(self._shop.project.source, config.version)
        for version in (before.version if before else "", found.version if found else ""):
            if version and not wanted.refusal(version):
                return version
        raise EnvironmentMissingError(
            "no Go here tells which release to lock",
            resolution='Name one: [go] toolchain = "1.26.8".',
        )

    def _tools(self, sums: ModuleSums) -> dict[str, ToolPin]:
        module, version = _REGISTRY
        self._shop.reporter.note(f"{TOOL:<11} {module} {version}")
        return {TOOL: resolve_tool(module, version, sums)}

    def _fetch(self, name: str, before: Lock) -> dict[str, Any]:
        resolver = Resolver(
            store=self._shop.store,
            downloads=self._makers.downloads,
            pip=self._pip,
            environ=self._shop.environ,
            warn=self._shop.reporter.warn,
            progress=lambda text: self._shop.reporter.progress(name, text),
        )
        table = self._shop.project.config.fetch[name]
        self._shop.reporter.note(f"{name:<11} {table.number}")
        return resolver.fetch(name, table, before.fetch.get(name, {}))

    def _debian(self, name: str, base: Base) -> dict[str, tuple[PackagePin, ...]]:
        shop = self._shop
        url = shop.options.debian_archive or base.archive
        url = url or host_archive(shop.processes, shop.environ, shop.os_release) or ""
        if not url:
            raise EnvironmentMissingError(
                f"no Debian archive is known here to lock the base '{name}'",
                resolution="Name one with --debian-archive, or leave it out with --only.",
            )
        archive = DebianArchive(
            url=url.rstrip("/"),
            suite=base.suite,
            pool=self._makers.pool,
            runner=shop.processes,
            store=shop.store,
            environ=shop.environ,
        )
        platforms = [Platform.parse(text) for text in shop.project.config.matrix.platforms]
        linux = {debian_architecture(p): p.arch for p in platforms if p.os == "linux"}
        shop.reporter.note(f"{name:<11} {base.suite}, {len(base.packages)} packages")
        pins = resolve_packages(archive, base.packages, tuple(linux), warn=shop.reporter.warn)
        return {linux[architecture]: found for architecture, found in pins.items()}

    @cached_property
    def _starts(self) -> dict[str, Wanted]:
        shop = self._shop
        facts = Facts(go_version="", outline=self._makers.images.outline)
        return registry_starts(Draft(project=shop.project, settings=shop.settings, facts=facts))

    def _references(self, before: Lock) -> dict[str, dict[str, str]]:
        """Return the pins of what Dockerfiles name that are used as they are."""
        shop = self._shop
        found = {}
        for reference, wanted in self._starts.items():
            if self._only and not wanted.images & set(self._only) and not self._wants(reference):
                found[reference] = before.registry.get(reference, {})
                continue
            shop.reporter.note(f"{reference}, for {', '.join(sorted(wanted.images))}")
            previous = before.registry.get(reference, {})
            try:
                pins = self._pins(reference)
            except (FetchError, RegistryError) as error:
                if self._only:
                    raise
                # As with a source of a fetched file: the others can be had all the same.
                kept = "its previous pin stays" if previous else "it stays without a pin"
                shop.reporter.warn(f"{reference}: {kept}\n{error}")
                found[reference] = previous
                continue
            found[reference] = {p: pins[p] for p in sorted(wanted.platforms) if p in pins}
            for platform in sorted(wanted.platforms - pins.keys()):
                shop.reporter.warn(
                    f"{reference} does not exist for {platform}; it does for {', '.join(pins)}"
                )
        return found

    def _manifests(self, base: Base) -> dict[str, str]:
        wanted = {p for p in self._shop.project.config.matrix.platforms if p.startswith("linux/")}
        return {p: digest for p, digest in self._pins(base.reference).items() if p in wanted}

    def _pins(self, name: str) -> dict[str, str]:
        """Return platform and digest of what a reference means now."""
        mirrors = self._shop.project.config.mirrors
        origin = Reference.parse(name)
        reference = mirrored(origin, mirrors)
        registry = self._makers.registry
        manifest = read_manifest(registry, origin, reference)
        value = msgspec.json.decode(manifest.data)
        if manifest.descriptor.media_type not in INDEXES:
            config = Descriptor.from_json(value["config"])
            data = registry.blobs.read(reference, config, limit=_CONFIG_LIMIT)
            platform = ImageConfig.decode(data).platform
            return _by_platform(((platform, str(manifest.descriptor.digest)),))
        entries = (Descriptor.from_json(entry) for entry in value["manifests"])
        return _by_platform((e.platform, str(e.digest)) for e in entries if e.platform is not None)


def _by_platform(images: Iterable[tuple[Platform, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for platform, digest in images:
        # A matrix may leave the variant out, as images of arm64 do or do not.
        for name in (str(platform), f"{platform.os}/{platform.arch}"):
            found.setdefault(name, digest)
    return found
