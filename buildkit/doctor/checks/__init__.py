"""The checks: each a pure function of facts."""

from __future__ import annotations

from collections.abc import Iterator

from buildkit.doctor.checks.builders import check_bootstrap, check_buildx
from buildkit.doctor.checks.docker import (
    check_daemon,
    check_daemon_clock,
    check_daemon_disk,
    check_daemon_proxy,
    check_storage,
)
from buildkit.doctor.checks.machine import (
    check_cache,
    check_clock,
    check_disk,
    check_emulation,
    check_memory,
)
from buildkit.doctor.checks.network import (
    check_auth_file,
    check_credentials,
    check_goproxy,
    check_hub,
    check_mirrors,
    check_pip,
    check_proxy,
)
from buildkit.doctor.checks.project import (
    check_go,
    check_go_environment,
    check_history,
    check_project,
    check_tree,
    check_tree_owner,
    check_worktree,
)
from buildkit.doctor.facts import Facts
from buildkit.doctor.finding import Finding


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Return what every check says, in the order in which a build meets these things."""
    found = (*_project(facts), *_docker(facts), *_network(facts), *_machine(facts))
    return tuple(item for item in found if item is not None)


def _project(facts: Facts) -> Iterator[Finding | None]:
    if facts.project is not None:
        yield check_project(facts.project)
    yield check_go(facts.go)
    yield check_go_environment(facts.go)
    if facts.tree is not None:
        for check in (check_tree, check_tree_owner, check_worktree, check_history):
            yield check(facts.tree)


def _docker(facts: Facts) -> Iterator[Finding | None]:
    yield check_daemon(facts.docker, facts.system)
    if not facts.docker.problem:
        yield check_storage(facts.docker)
        yield check_daemon_disk(facts.docker)
        yield check_daemon_proxy(facts.docker, facts.proxy)
        yield check_daemon_clock(facts.docker, facts.system)
    yield check_buildx(facts.buildx)
    yield check_bootstrap(facts.bootstrap, facts.system)
    yield from (check_emulation(item) for item in facts.emulation)


def _network(facts: Facts) -> Iterator[Finding | None]:
    yield from (check_hub(item, facts.system) for item in facts.hubs)
    yield from (check_credentials(item) for item in facts.credentials)
    yield check_auth_file(facts.absent_auth_file)
    yield check_proxy(facts.proxy)
    yield check_goproxy(facts.mirrors)
    yield check_pip(facts.mirrors)
    yield check_mirrors(facts.mirrors)


def _machine(facts: Facts) -> Iterator[Finding | None]:
    yield from (check_disk(item) for item in facts.disks)
    yield check_memory(facts.memory)
    yield check_clock(facts.clock, facts.system)
    yield check_cache(facts.cache)
