"""What packages need in one run: nfpm, and who calls it."""

from __future__ import annotations

from buildkit.build.gotool import GoTool, GoTools
from buildkit.build.package import PackageBuilder
from buildkit.pipeline.golang import GoSupply
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.package_units import NFPM

_NFPM = GoTool(
    name="nfpm",
    module="github.com/goreleaser/nfpm/v2",
    version=f"v{NFPM}",
    sum="h1:o5oureuZkhu55RK0M9WSN8JLW7hu6MymtMh7LypInlk=",
    package="./cmd/nfpm",
)


def make_packager(shop: Workshop, go: GoSupply) -> PackageBuilder:
    """Return the builder of packages; nfpm is compiled when the first one is made."""
    tools = GoTools(
        store=shop.store,
        release=go.release,
        go=go.toolchain,
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
