"""`invoke doctor`: the facts of this machine and project, and what the checks say of them."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from buildkit.collection import read_limit, scan, survey
from buildkit.doctor.checks import examine
from buildkit.doctor.facts import (
    BootstrapFacts,
    BuildxFacts,
    CacheFacts,
    ClockFacts,
    DiskFacts,
    DockerFacts,
    Facts,
    GoFacts,
    HubFacts,
    MemoryFacts,
    MirrorFacts,
    ProjectFacts,
    TreeFacts,
)
from buildkit.doctor.finding import Finding, missing
from buildkit.doctor.gather import (
    absent_auth_file,
    gather_credentials,
    gather_disks,
    gather_docker,
    gather_emulation,
    gather_proxy,
    gather_tree,
    goproxy_hosts,
    pip_places,
    why_unasked,
)
from buildkit.errors import (
    BuildkitError,
    ConfigError,
    EnvironmentMissingError,
    FetchError,
    UsageError,
)
from buildkit.execute.space import Place, expected_places, look_at_disk
from buildkit.log import Reporter, choose_reporter
from buildkit.memory import available_memory
from buildkit.pipeline.caching import VARIABLE
from buildkit.pipeline.check import check_templates, lock_problems
from buildkit.pipeline.doctor_images import bootstrap_facts, buildx_facts, daemon_need
from buildkit.pipeline.golang import locked_go
from buildkit.pipeline.local import local_registry
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.planning import BOTH, Planned, make_plan
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import TARGETS, Workshop, user_store
from buildkit.plan.destinations import Destination, names_hub
from buildkit.plan.options import Goal, Options
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.reference import split_hub
from buildkit.registry.probe import probe
from buildkit.toolchain import Toolchain, Wanted, find_go, read_settings, read_wanted
from buildkit.toolchain.environment import ignored_settings

COLUMNS = ("state", "check", "meaning")

_COMMON = ("amd64", "arm64")
"""The architectures that are looked at where no project names any."""


def show_health(goals: frozenset[Goal], options: Options) -> None:
    """Say what this machine lacks for the goals, or for all; nothing is changed.

    Raises:
        UsageError: a flag names nothing.
        EnvironmentMissingError: something that a goal needs is missing.
    """
    environ = dict(os.environ)
    facts = _Gathering(options, environ).facts()
    shown = choose_reporter(environ, quiet=False, stream=sys.stdout)
    tell_health(facts, goals or BOTH, options, shown)


def tell_health(facts: Facts, goals: frozenset[Goal], options: Options, shown: Reporter) -> None:
    """Print what the checks say of some facts.

    Raises:
        EnvironmentMissingError: something that a goal needs is missing.
    """
    findings = examine(facts)
    stopped = missing(findings, goals)
    if options.json:
        print_json(health_json(findings, stopped))
    elif not options.quiet:
        show_findings(findings, shown)
    if stopped:
        raise EnvironmentMissingError(
            f"{' and '.join(sorted(goals))} cannot be done here",
            details="\n".join(f"{item.check}: {item.meaning}" for item in stopped),
            resolution="\n".join(item.mend for item in stopped if item.mend),
        )


def show_findings(findings: Iterable[Finding], shown: Reporter) -> None:
    """Print a line for each finding, and below it what mends it."""
    rows: list[tuple[str, ...]] = []
    for item in findings:
        rows.append((str(item.state), item.check, item.meaning))
        if item.mend:
            rows.append(("", "", f"-> {item.mend}"))
    shown.table(COLUMNS, rows)


def health_json(findings: Iterable[Finding], stopped: Iterable[Finding]) -> dict[str, Any]:
    """Return the findings as one JSON document."""
    checks = [
        {
            "check": item.check,
            "state": str(item.state),
            "meaning": item.meaning,
            "mend": item.mend,
            "needed_by": sorted(item.needed_by),
        }
        for item in findings
    ]
    return {"checks": checks, "missing": [item.check for item in stopped]}


class _Looked(Struct, frozen=True, kw_only=True):
    """What planning everything anew said of the project."""

    facts: ProjectFacts
    planned: Planned | None = None


class _Gathering:
    """Joins the facts of the machine with those of the project, if there is one."""

    def __init__(self, options: Options, environ: Mapping[str, str]) -> None:
        self._options = options
        self._environ = environ
        self._processes = Processes()
        self._now = time.time()
        self._shop: Workshop | None = None

    def facts(self) -> Facts:
        """Return all of them; the project first, since the rest is asked for its sake."""
        project = self._project()
        planned = project.planned if project else None
        docker = self._docker(planned)
        return Facts(
            system=sys.platform,
            project=project.facts if project else None,
            go=self._go(),
            tree=self._tree(),
            docker=docker,
            buildx=self._buildx(planned),
            bootstrap=self._bootstrap(planned),
            credentials=gather_credentials(self._environ, self._registries()),
            absent_auth_file=absent_auth_file(self._environ),
            proxy=gather_proxy(self._environ),
            mirrors=self._mirrors(),
            hubs=self._hubs(planned),
            emulation=gather_emulation(
                self._arches(),
                docker.arch or self._host.arch,
                is_elsewhere=docker.is_virtual or not sys.platform.startswith("linux"),
            ),
            disks=self._disks(planned),
            memory=self._memory(planned),
            clock=ClockFacts(now=self._now, commit=self._shop.git.commit_time if self._shop else 0),
            cache=self._cache(),
        )

    def _project(self) -> _Looked | None:
        named = self._options.targets
        path = Path(named or TARGETS)
        if not path.exists() and named is None:
            return None
        try:
            shop = Workshop.open(replace(self._options, force=True))
            _ = shop.settings
        except (ConfigError, FetchError) as error:
            return _Looked(facts=_refused(path.name, error))
        except UsageError as error:
            if self._options.source or not path.exists():
                raise
            return _Looked(facts=_refused(path.name, error))
        self._shop = shop
        return self._planned(shop)

    def _planned(self, shop: Workshop) -> _Looked:
        name = shop.project.targets.name
        try:
            planned = make_plan(shop, Makers(shop), frozenset(Goal))
            check_templates(planned.graph.units)
        except EnvironmentMissingError as error:
            return _Looked(facts=ProjectFacts(targets=name, unchecked=error.brief))
        except ConfigError as error:
            return _Looked(facts=_refused(name, error))
        facts = ProjectFacts(
            targets=name,
            units=len(planned.graph.units),
            unpinned=lock_problems(planned.graph),
        )
        return _Looked(facts=facts, planned=planned)

    @cached_property
    def _host(self) -> Platform:
        return Platform.host()

    @cached_property
    def _toolchain(self) -> tuple[Toolchain | None, str]:
        cwd = self._shop.project.source if self._shop else Path.cwd()
        try:
            return find_go(self._environ, self._processes, cwd), ""
        except EnvironmentMissingError as error:
            return None, error.brief

    @cached_property
    def _go_settings(self) -> tuple[dict[str, str], str]:
        """The user's settings of Go, and why they are unknown."""
        toolchain, broken = self._toolchain
        if toolchain is None:
            return {}, broken
        try:
            return read_settings(toolchain, self._environ, self._processes), ""
        except EnvironmentMissingError as error:
            return {}, error.brief

    def _wanted(self) -> Wanted:
        if self._shop is None:
            return Wanted()
        wanted = read_wanted(self._shop.project.source, self._shop.project.config.go.version)
        try:
            wanted.refusal(wanted.minimum or "1.0")
        except ConfigError:
            # The check of the configuration says so already.
            return replace(wanted, specifier="")
        return wanted

    def _go(self) -> GoFacts:
        shop, (found, _), (_, broken) = self._shop, self._toolchain, self._go_settings
        config = shop.project.config.go if shop else None
        locked = locked_go(shop.project.lock.go, self._host) if shop else None
        named = config.env or {} if config else {}
        store = user_store(self._environ)
        return GoFacts(
            found=found.version if found and not broken else "",
            goroot=str(found.goroot) if found else "",
            broken=broken,
            wanted=self._wanted(),
            locked=locked.version if locked else "",
            is_provisioned=bool(locked and (locked.home(store.root) / "bin" / "go").exists()),
            ignored=tuple(n for n in ignored_settings(self._environ) if n not in named),
        )

    def _tree(self) -> TreeFacts | None:
        if self._shop is None:
            return None
        git, source = self._shop.git, self._shop.project.source
        return gather_tree(source, git, self._processes, self._environ, os.getuid())

    def _docker(self, planned: Planned | None) -> DockerFacts:
        return gather_docker(
            self._environ,
            system=sys.platform,
            host_name=platform.node(),
            now=self._now,
            needed=daemon_need(planned.graph, planned.shop.settings.engine) if planned else "",
        )

    def _buildx(self, planned: Planned | None) -> BuildxFacts:
        if planned is None:
            return BuildxFacts()

        def ask() -> str:
            from buildkit.images.buildx import buildx_problem  # noqa: PLC0415 - few images ask

            return buildx_problem(self._processes, self._environ, Path.cwd())

        return buildx_facts(planned.graph, planned.shop.settings.engine, ask)

    def _bootstrap(self, planned: Planned | None) -> BootstrapFacts:
        if planned is None:
            return BootstrapFacts()
        from buildkit.images.bootstrap import MISSING, find_mmdebstrap  # noqa: PLC0415 - see _buildx

        return bootstrap_facts(planned.graph, MISSING, find_mmdebstrap(self._environ))

    def _destinations(self) -> tuple[Destination, ...]:
        return self._shop.settings.destinations if self._shop else ()

    def _registries(self) -> tuple[str, ...]:
        beyond = (item for item in self._destinations() if item.push and not item.is_loopback)
        return tuple(split_hub(item.hub.text)[0] for item in beyond)

    def _hubs(self, planned: Planned | None) -> tuple[HubFacts, ...]:
        if planned is None or gather_proxy(self._environ).error:
            return ()
        return tuple(self._hub(item, planned) for item in self._destinations())

    def _hub(self, item: Destination, planned: Planned) -> HubFacts:
        shop, makers, hub = planned.shop, planned.makers, item.hub.text
        is_named = names_hub(shop.options, shop.environ)
        facts = HubFacts(
            hub=hub, is_loopback=item.is_loopback, is_named=is_named, is_pushed=item.push
        )
        if item.is_loopback:
            serving = local_registry(shop, makers).status(hub, named=is_named)
            found = serving.found
            return replace(facts, hub=serving.hub, presence=found.presence, words=found.words)
        registry, _ = split_hub(hub)
        offline = bool(shop.options.offline)
        if unasked := why_unasked(registry, shop.environ, is_offline=offline):
            return replace(facts, presence=None, unasked=unasked)
        insecure = frozenset(shop.project.config.registry.insecure)
        found = probe(makers.pool, registry, insecure)
        return replace(facts, presence=found.presence, words=found.words)

    def _mirrors(self) -> MirrorFacts:
        shop, (said, _) = self._shop, self._go_settings
        return MirrorFacts(
            goproxy=goproxy_hosts(said.get("GOPROXY", "")),
            pip=pip_places(self._environ, sys.platform, Path(sys.prefix)),
            mirrors=len(shop.project.config.mirrors) if shop else 0,
            is_offline=bool(self._options.offline),
        )

    def _arches(self) -> tuple[str, ...]:
        if self._shop is None:
            return _COMMON
        platforms = map(Platform.parse, self._shop.project.config.matrix.platforms)
        return tuple(dict.fromkeys(item.arch for item in platforms if item.os == "linux"))

    def _disks(self, planned: Planned | None) -> tuple[DiskFacts, ...]:
        cache = user_store(self._environ).root
        places: tuple[Place, ...] = (Place(folder=cache, needed=0),)
        if planned is not None:
            shop = planned.shop
            places = expected_places(planned.plan, shop.book, shop.settings.out, cache)
        return gather_disks(places, {place.folder: look_at_disk(place.folder) for place in places})

    def _memory(self, planned: Planned | None) -> MemoryFacts:
        peaks = [0]
        if planned is not None:
            records = (planned.shop.book.get(unit.id) for unit in planned.graph.units)
            peaks += [record.peak_memory for record in records if record is not None]
        return MemoryFacts(available=available_memory(), needed=max(peaks))

    def _cache(self) -> CacheFacts:
        root = user_store(self._environ).root
        there = next(path for path in (root, *root.parents) if path.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            return CacheFacts(place=str(root), error=f"{there} cannot be written to")
        size = sum(kind.size for kind in survey(scan(root)) if not kind.is_kept)
        facts = CacheFacts(place=str(root), size=size)
        try:
            limit = read_limit(self._environ.get(VARIABLE), f"{VARIABLE} in the environment")
        except UsageError as error:
            return replace(facts, wrong_limit=error.brief)
        return replace(facts, limit=limit)


def _refused(name: str, error: BuildkitError) -> ProjectFacts:
    details = "; ".join(error.details.splitlines())
    text = f"{error.brief}: {details}" if details else error.brief
    return ProjectFacts(targets=name, error=text, resolution=error.resolution)
