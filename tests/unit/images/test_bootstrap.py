"""What mmdebstrap is asked for, and what becomes of the system that it made."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from buildkit.config.model import Base
from buildkit.errors import BuildError, EnvironmentMissingError
from buildkit.images.bases import BaseAssembler
from buildkit.images.bootstrap import bootstrap_entries, find_mmdebstrap
from buildkit.images.sheet import Sheet
from buildkit.oci.layer import Entry
from buildkit.plan.units import Artifact, AssembleBase, Kind, Unit
from buildkit.platform import Platform
from buildkit.proc import Completed
from buildkit.store import Store
from tests.fakes.runner import Call, FakeRunner
from tests.fakes.units import running
from tests.unit.images.fake_archive import FakeArchive

URL = "https://example.com/debian"


def system(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name.replace('_', '/')}")
            info.size, info.mode, info.gid = len(content), 0o2755, 42
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class World:
    """An mmdebstrap that writes a small system."""

    def __init__(self) -> None:
        self.tar = system(usr_bin_apt=b"apt")
        self.error = b""
        self.runner = FakeRunner(self._answer)

    def _answer(self, call: Call) -> tuple[int, bytes, bytes]:
        if self.error:
            return 1, b"", self.error
        next(Path(word) for word in call.argv if word.endswith(".tar")).write_bytes(self.tar)
        return 0, b"", b""

    def entries(
        self, folder: Path, packages: tuple[str, ...] = ("sudo",), archive: str = URL
    ) -> dict[str, Entry]:
        found = bootstrap_entries(
            folder,
            suite="bookworm",
            packages=packages,
            architecture="arm64",
            archive=archive,
            runner=self.runner,
            environ={"PATH": "/bin", "http_proxy": "http://proxy", "TOKEN": "secret"},
        )
        return {entry.path: entry for entry in found}


@pytest.fixture
def world() -> World:
    return World()


def test_it_is_asked_for_a_small_system_of_one_architecture(world: World, tmp_path: Path) -> None:
    world.entries(tmp_path)
    (call,) = world.runner.calls
    assert call.argv[0] == "mmdebstrap"
    assert {"--variant=minbase", "--architectures=arm64", "--include=sudo"} <= set(call.argv)
    assert call.argv[-3:] == ("bookworm", str(tmp_path / "system.tar"), URL)
    assert {"PATH", "http_proxy", "SOURCE_DATE_EPOCH"} <= call.env.keys()
    assert "TOKEN" not in call.env


def test_without_an_archive_it_chooses_one_and_without_packages_none(
    world: World, tmp_path: Path
) -> None:
    world.entries(tmp_path, packages=(), archive="")
    assert world.runner.calls[0].argv[-1] == str(tmp_path / "system.tar")
    assert not [word for word in world.runner.calls[0].argv if word.startswith("--include")]


def test_owners_and_modes_are_kept_and_certificates_added(world: World, tmp_path: Path) -> None:
    found = world.entries(tmp_path)
    assert (found["usr/bin/apt"].mode, found["usr/bin/apt"].gid) == (0o2755, 42)
    assert "etc/ssl/certs/ca-certificates.crt" in found


def test_certificates_of_the_system_stay(world: World, tmp_path: Path) -> None:
    world.tar = system(**{"etc_ssl_certs_ca-certificates.crt": b"its own"})
    entry = world.entries(tmp_path)["etc/ssl/certs/ca-certificates.crt"]
    assert isinstance(entry.content, Path)
    assert entry.content.read_bytes() == b"its own"


def test_its_last_words_are_told(world: World, tmp_path: Path) -> None:
    world.error = b"".join(b"line %d\n" % number for number in range(100)) + b"E: no such suite\n"
    with pytest.raises(BuildError, match="cannot install bookworm for arm64") as caught:
        world.entries(tmp_path)
    assert caught.value.details.endswith("E: no such suite")
    assert "line 1\n" not in caught.value.details


class NoProgram:
    """A machine without mmdebstrap."""

    def run(self, argv: object, **_: object) -> Completed:
        raise EnvironmentMissingError(f"{argv} cannot be started")


def test_a_machine_without_it_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissingError, match="mmdebstrap is not installed") as caught:
        bootstrap_entries(
            tmp_path,
            suite="bookworm",
            packages=(),
            architecture="amd64",
            archive="",
            runner=NoProgram(),
            environ={},
        )
    assert "a base of a registry" in caught.value.resolution


def assemble(world: World, store: Store, base: Base, archive: str = "") -> Artifact:
    def find(name: str, platform: Platform) -> Sheet:
        raise AssertionError(name, platform)

    assembler = BaseAssembler(
        store=store,
        project="mesh",
        find=find,
        pool=FakeArchive().pool,
        runner=world.runner,
        environ={},
        warn=lambda _: None,
        host_archive=lambda: "https://example.com/host",
    )
    action = AssembleBase(name="b", base=base, packages=(), archive=archive, digest="")
    unit = Unit(kind=Kind.BASE, name="b", platform=Platform("linux", "arm64"), action=action)
    (made,) = assembler.build((running(unit),), {}, lambda _: None)
    return made


def test_a_base_is_installed_once_for_every_project_of_a_user(world: World, store: Store) -> None:
    base = Base(kind="bootstrap", suite="bookworm", packages=("sudo",))
    first = assemble(world, store, base)
    assert first.path is not None
    assert world.runner.calls[0].argv[-1] == "https://example.com/host"
    assert assemble(world, store, base) == first
    assert len(world.runner.calls) == 1
    assemble(world, store, Base(kind="bootstrap", suite="bullseye"), archive=URL)
    assert world.runner.calls[1].argv[-1] == URL


def test_the_program_is_looked_for_on_the_path(tmp_path: Path) -> None:
    assert find_mmdebstrap({"PATH": str(tmp_path)}) == find_mmdebstrap({}) == ""
    program = tmp_path / "mmdebstrap"
    program.touch(mode=0o755)
    assert find_mmdebstrap({"PATH": str(tmp_path)}) == str(program)
