"""What packages need in one run: nfpm, and who calls it."""

from __future__ import annotations

from collections.abc import Callable

from buildkit.build.gotool import GoTool, GoTools
from buildkit.build.package import PackageBuilder
from buildkit.errors import EnvironmentMissingError
from buildkit.pipeline.golang import GoSupply
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.package_units import NFPM
from buildkit.toolchain import Toolchain, find_go
from buildkit.toolchain.accept import compare_versions

_NFPM = GoTool(
    name="nfpm",
    module="github.com/goreleaser/nfpm/v2",
    version=f"v{NFPM}",
    sum="h1:o5oureuZkhu55RK0M9WSN8JLW7hu6MymtMh7LypInlk=",
    package="./cmd/nfpm",
)

_OLDEST_GO = "1.23"


def make_packager(shop: Workshop, go: GoSupply) -> PackageBuilder:
    """Return the builder of packages; nfpm is compiled when the first one is made."""
    release, compiler = compiler_of_nfpm(shop, go)
    tools = GoTools(
        store=shop.store,
        release=release,
        go=compiler,
        runner=shop.processes,
        environ=shop.environ,
        say=shop.reporter.note,
        offline=shop.settings.offline,
    )
    return PackageBuilder(
        program=lambda: tools.obtain(_NFPM),
        runner=shop.processes,
        epoch=shop.epoch,
        scratch=shop.store.workspace,
        digest=shop.hasher.digest,
    )


def compiler_of_nfpm(shop: Workshop, go: GoSupply) -> tuple[str, Callable[[], Toolchain]]:
    """Return which Go compiles nfpm, and what gives it.

    It is the project's, or, as a project may need an older one than nfpm does, the one on PATH.
    """
    release = go.release
    if _compiles_nfpm(go.choice.version):
        return release, go.toolchain
    found = find_go(shop.environ, shop.processes, shop.project.source)
    if found is not None and _compiles_nfpm(found.version):
        return found.release, lambda: found

    def refuse() -> Toolchain:
        raise EnvironmentMissingError(
            f"nfpm {NFPM} needs Go {_OLDEST_GO} or newer, and the project is built with {release}",
            resolution=f"Put a Go {_OLDEST_GO} or newer on PATH: it compiles nfpm alone.",
        )

    return release, refuse


def _compiles_nfpm(version: str) -> bool:
    return compare_versions(version, _OLDEST_GO) >= 0
