"""Debian bases from the archive this machine uses, loaded into a real daemon."""

from __future__ import annotations

import contextlib
import os
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest
from docker import DockerClient

from buildkit.config.lock import PackagePin
from buildkit.config.model import Base
from buildkit.errors import ConfigError
from buildkit.http import HttpPool
from buildkit.images.archive import DebianArchive, debian_architecture, host_archive
from buildkit.images.bases import BaseAssembler
from buildkit.images.daemon import connect, daemon_platform, find_image
from buildkit.images.load import load_base
from buildkit.images.packages import resolve_packages
from buildkit.plan.units import Artifact, AssembleBase, Kind, Step, Unit, Verdict
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.integration.conftest import skip_outside_ci

pytestmark = pytest.mark.network

PACKAGES = {
    "bookworm": ("base-files", "gcc-12-base", "libc6", "libgcc-s1", "netbase"),
    "trixie": ("base-files", "gcc-14-base", "libc6", "libgcc-s1", "netbase"),
}
LOADERS = {"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
PLATFORMS = tuple(Platform.parse(f"linux/{arch}") for arch in LOADERS)

Pinned = Callable[[str, Platform], tuple[PackagePin, ...]]


@pytest.fixture(scope="module")
def address() -> str:
    url = os.environ.get("DEBIAN_ARCHIVE") or host_archive(Processes(), os.environ, {})
    if not url:
        skip_outside_ci("this machine's apt uses no Debian archive, and DEBIAN_ARCHIVE is unset")
    return url


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One cache for all tests, so that each package is downloaded once."""
    return Store.open(tmp_path_factory.mktemp("debian") / "store")


@pytest.fixture(scope="module")
def pinned(address: str, shared: Store) -> Pinned:
    """What the archive has of a suite for a platform, which is looked up once."""
    return cache(lambda suite, platform: pins(address, shared, suite, platform))


def open_suite(address: str, store: Store, suite: str) -> DebianArchive:
    return DebianArchive(
        url=address,
        suite=suite,
        pool=HttpPool(environ=os.environ),
        runner=Processes(),
        store=store,
        environ=os.environ,
    )


def pins(address: str, store: Store, suite: str, platform: Platform) -> tuple[PackagePin, ...]:
    architecture = debian_architecture(platform)
    found = resolve_packages(
        open_suite(address, store, suite), PACKAGES[suite], (architecture,), warn=lambda _: None
    )
    return found[architecture]


def assemble(
    address: str,
    store: Store,
    suite: str,
    platform: Platform,
    packages: tuple[PackagePin, ...],
    *,
    warn: Callable[[str], None] = pytest.fail,
) -> Artifact:
    assembler = BaseAssembler(
        store=store,
        project="imgtest",
        find=lambda name, _: pytest.fail(name),
        pool=HttpPool(environ=os.environ),
        runner=Processes(),
        environ=os.environ,
        warn=warn,
    )
    base = Base(kind="debian", suite=suite, packages=PACKAGES[suite])
    action = AssembleBase(name=suite, base=base, packages=packages, archive=address, digest="")
    unit = Unit(kind=Kind.BASE, name=f"imgtest-{suite}", platform=platform, action=action)
    step = Step(unit=unit, verdict=Verdict.RUN, reason="")
    (artifact,) = assembler.build((step,), {}, lambda _: None)
    return artifact


def members(artifact: Artifact) -> dict[str, tarfile.TarInfo]:
    assert artifact.path is not None
    with tarfile.open(artifact.path) as layer:
        return {item.name: item for item in layer}


@pytest.mark.parametrize("suite", sorted(PACKAGES))
@pytest.mark.parametrize("platform", PLATFORMS, ids=str)
def test_a_base_has_a_loader_a_merged_usr_and_what_scanners_read(
    address: str, shared: Store, pinned: Pinned, suite: str, platform: Platform
) -> None:
    found = pinned(suite, platform)
    entries = members(assemble(address, shared, suite, platform, found))
    links = {name: item.linkname for name, item in entries.items() if item.issym()}
    assert links["lib"] == "usr/lib"
    loader = LOADERS[platform.arch].lstrip("/")
    assert loader not in entries
    assert f"usr/{loader}" in entries
    for name in PACKAGES[suite]:
        assert entries[f"var/lib/dpkg/status.d/{name}"].size > 0
    assert not [name for name in entries if name in {"usr/bin/sh", "bin/sh", "usr/bin/dpkg"}]
    assert {item.mtime for item in entries.values()} == {0}
    assert {item.uname for item in entries.values()} == {""}


def test_two_stores_assemble_the_same_layer(
    address: str, shared: Store, pinned: Pinned, tmp_path: Path
) -> None:
    platform = PLATFORMS[1]
    found = pinned("trixie", platform)
    one = assemble(address, shared, "trixie", platform, found)
    two = assemble(address, Store.open(tmp_path / "other"), "trixie", platform, found)
    assert one.digest == two.digest
    assert one.path != two.path


def test_a_cached_base_needs_no_archive(address: str, shared: Store, pinned: Pinned) -> None:
    found = pinned("trixie", PLATFORMS[0])
    one = assemble(address, shared, "trixie", PLATFORMS[0], found)
    assert assemble("http://127.0.0.1:9/debian", shared, "trixie", PLATFORMS[0], found) == one


def test_a_vanished_version_is_replaced_and_said(
    address: str, pinned: Pinned, tmp_path: Path
) -> None:
    store = Store.open(tmp_path / "store")
    found = pinned("trixie", PLATFORMS[0])
    gone = msgspec.structs.replace(
        found[-1], version="0", file=f"{found[-1].file}.gone", sha256="0" * 64
    )
    warnings: list[str] = []
    made = assemble(
        address, store, "trixie", PLATFORMS[0], (*found[:-1], gone), warn=warnings.append
    )
    assert len(warnings) == 1
    assert f"{gone.name} 0 is gone" in warnings[0]
    assert made.digest == assemble(address, store, "trixie", PLATFORMS[0], found).digest


def test_a_misspelt_package_has_a_near_miss(address: str, shared: Store) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_packages(
            open_suite(address, shared, "trixie"), ("netbse",), ("amd64",), warn=pytest.fail
        )
    assert "netbase" in caught.value.resolution


@pytest.mark.docker
@pytest.mark.parametrize("suite", sorted(PACKAGES))
def test_a_program_linked_against_glibc_runs(
    address: str, shared: Store, pinned: Pinned, suite: str
) -> None:
    with contextlib.closing(connect(os.environ)) as client:
        platform = daemon_platform(client)
        found = pinned(suite, platform)
        base = assemble(address, shared, suite, platform, found)
        with loaded(client, shared, base, platform) as name:
            # The C library is a program too, which its loader runs: it prints its version.
            library = f"/lib/{TRIPLETS[platform.arch]}/libc.so.6"
            output = client.containers.run(name, [library], remove=True)
    assert b"GNU C Library (Debian GLIBC" in output


@pytest.mark.docker
def test_both_platforms_are_loaded_under_their_own_names(
    address: str, shared: Store, pinned: Pinned
) -> None:
    with contextlib.closing(connect(os.environ)) as client:
        for platform in PLATFORMS:
            found = pinned("trixie", platform)
            base = assemble(address, shared, "trixie", platform, found)
            with loaded(client, shared, base, platform) as name:
                image = find_image(client, name)
                assert image is not None
                assert image.platform == platform
                assert image.diff_ids == (base.digest,)


@contextlib.contextmanager
def loaded(client: DockerClient, store: Store, base: Artifact, platform: Platform) -> Iterator[str]:
    name = load_base(client, layers_of(store), base, platform).name
    try:
        yield name
    finally:
        client.images.remove(name, force=True)
