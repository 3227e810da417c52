"""Programs in Go: fetched, verified, compiled once, found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.build.gotool import GoTool, GoTools
from buildkit.errors import BuildError, FetchError
from buildkit.store import Store
from buildkit.toolchain import Toolchain
from tests.fakes.damages import DAMAGES
from tests.fakes.go import FakeGo
from tests.fakes.runner import Call, FakeRunner, refuse

H1 = "h1:AUzu/+mOn2gHKmpGsifjAbnxb3kk/IrBhTGMhdfGGcE="
TOOL = GoTool(
    name="nfpm", module="example.com/nfpm", version="v2.43.0", sum=H1, package="./cmd/nfpm"
)


class World:
    """A cache and a Go that compiles."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.go = FakeGo({"go.mod": b"module example.com/nfpm"}, h1=H1)
        self.runner = FakeRunner(self._answer)
        self.said: list[str] = []
        self.broken = False

    def _answer(self, call: Call) -> tuple[int, bytes, bytes]:
        if call.argv[1] != "install":
            return self.go(call)
        if self.broken:
            return 1, b"", b"go.mod requires go >= 1.23.0"
        (Path(call.env["GOBIN"]) / "nfpm").write_bytes(b"program")
        return 0, b"", b""

    def tools(self, *, offline: bool = False, release: str = "go1.26.8") -> GoTools:
        toolchain = Toolchain(goroot=self.store.root / "go", version="1.26.8", release=release)
        return GoTools(
            store=self.store,
            release=release,
            go=lambda: toolchain,
            runner=self.runner,
            environ={},
            say=self.said.append,
            offline=offline,
        )


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def test_it_is_compiled_where_it_lies_by_its_own_go_sum(world: World) -> None:
    assert world.tools().obtain(TOOL).read_bytes() == b"program"
    install = world.runner.calls[-1]
    assert install.argv[1:] == (
        *("install", "-trimpath", "-buildvcs=false", "-mod=readonly"),
        "./cmd/nfpm",
    )
    assert install.cwd.name == "nfpm@v2.43.0"
    assert install.env["CGO_ENABLED"] == "0"
    assert world.said == ["nfpm v2.43.0 is fetched and compiled by go1.26.8"]


def test_the_next_run_finds_it_without_network_and_without_go(world: World) -> None:
    first = world.tools().obtain(TOOL)
    world.runner = FakeRunner(refuse)
    assert world.tools(offline=True).obtain(TOOL) == first


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("folder", ["blobs", "tools"])
def test_a_damaged_one_is_compiled_anew(world: World, folder: str, how: str) -> None:
    world.tools().obtain(TOOL)
    (path,) = (path for path in (world.store.root / folder).rglob("*") if path.is_file())
    DAMAGES[how](path)
    assert world.tools().obtain(TOOL).read_bytes() == b"program"
    assert world.go.downloads == 2


def test_another_go_compiles_its_own(world: World) -> None:
    world.tools().obtain(TOOL)
    world.tools(release="go1.27.0").obtain(TOOL)
    assert world.go.downloads == 2


def test_offline_it_is_refused_where_it_is_not_cached(world: World) -> None:
    with pytest.raises(FetchError, match="not in the cache, and this run is offline"):
        world.tools(offline=True).obtain(TOOL)
    assert world.runner.calls == []


def test_another_module_than_the_pinned_one_is_never_compiled(world: World) -> None:
    world.go.sum = "h1:other"
    with pytest.raises(FetchError, match="is not what this release of the toolkit was made for"):
        world.tools().obtain(TOOL)
    assert "install" not in world.runner.calls[-1].argv


def test_a_go_that_cannot_compile_it_says_why(world: World) -> None:
    world.broken = True
    with pytest.raises(BuildError, match=r"nfpm v2\.43\.0 cannot be compiled") as caught:
        world.tools().obtain(TOOL)
    assert "requires go >= 1.23.0" in caught.value.details
