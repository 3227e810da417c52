"""Programs of an image, and the C library that it has for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import VerificationError
from buildkit.glibc import Glibc, Linkage
from buildkit.images.libc import (
    check_libc,
    libc_problem,
    linked_programs,
    made_by_commands,
    tree_glibc,
)
from buildkit.images.tree import Tree
from buildkit.oci.layer import Entry, file, symlink, write_layer
from buildkit.oci.listing import list_tar
from buildkit.plan.units import Artifact
from tests.fakes.dynamic import LOADER, make_dynamic, make_libc
from tests.unit.build.elf import TEXT, make_elf

NEW = {"libc.so.6": ("GLIBC_2.17", "GLIBC_2.30")}
IMAGE = "image/proxyv2@linux/amd64"


def debian(version: str) -> tuple[Entry, ...]:
    """Return what a base with glibc has, its loader a link as in Debian."""
    loader = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    return (
        file("usr/lib/x86_64-linux-gnu/libc-2.x.so", make_libc(version)),
        symlink("usr/lib/x86_64-linux-gnu/libc.so.6", "libc-2.x.so"),
        file(loader, b"loader", 0o755),
        symlink("lib64", "usr/lib64"),
        symlink("usr/lib64/ld-linux-x86-64.so.2", f"/{loader}"),
    )


@pytest.fixture
def envoy(tmp_path: Path) -> Path:
    path = tmp_path / "envoy"
    path.write_bytes(make_dynamic(NEW))
    return path


def check(base: tuple[Entry, ...], *programs: Path) -> None:
    held = tuple(file(f"usr/local/bin/{path.name}", path, 0o755) for path in programs)
    check_libc(Tree.of((*base, *held)), linked_programs(programs), IMAGE, "its base debian")


def test_a_base_that_is_new_enough_is_no_problem(envoy: Path) -> None:
    for version in ("2.30", "2.31", "3.0"):
        check(debian(version), envoy)


def test_one_that_is_too_old_is_named_with_the_program_and_one_that_fits(envoy: Path) -> None:
    with pytest.raises(VerificationError) as caught:
        check(debian("2.23"), envoy)
    words = "envoy needs glibc 2.30, and its base debian has 2.23"
    assert caught.value.brief == f"{IMAGE} cannot work: {words}"
    assert "debian bullseye (2.31), ubuntu focal (2.31)" in caught.value.resolution


def test_a_base_without_a_c_library_is_refused_for_a_dynamic_program_alone(
    envoy: Path, tmp_path: Path
) -> None:
    agent = tmp_path / "pilot-agent"
    agent.write_bytes(make_elf(TEXT))
    check((), agent)
    with pytest.raises(VerificationError) as caught:
        check((), agent, envoy)
    assert caught.value.brief.endswith(
        f"envoy needs glibc 2.30, through {LOADER}, and its base debian has no C library"
    )


def test_another_library_than_glibc_is_asked_for_by_its_loader(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_bytes(make_dynamic({}, loader="/lib/ld-musl-x86_64.so.1"))
    with pytest.raises(VerificationError) as caught:
        check(debian("2.41"), path)
    assert "tool needs a C library, through /lib/ld-musl-x86_64.so.1" in caught.value.brief
    assert "its base debian has glibc 2.41, but not that file" in caught.value.brief
    assert "a static build of tool" in caught.value.resolution
    check((file("lib/ld-musl-x86_64.so.1", b"musl", 0o755),), path)


def test_what_the_image_does_not_hold_or_a_loader_of_its_own_does_not_matter(
    envoy: Path, tmp_path: Path
) -> None:
    check_libc(Tree(), linked_programs([envoy]), IMAGE, "its base static")
    own = tmp_path / "own"
    own.write_bytes(make_dynamic(NEW, loader="/opt/glibc/ld.so"))
    new = file("opt/glibc/lib/libc.so.6", make_libc("2.31"))
    check((*debian("2.23"), new, file("opt/glibc/ld.so", b"loader", 0o755)), own)


def test_a_loader_without_a_library_that_is_known_is_believed(envoy: Path) -> None:
    check((file(LOADER.lstrip("/"), b"a stand-in", 0o755),), envoy)


def test_a_library_is_read_inside_a_base_layer(tmp_path: Path) -> None:
    layer = write_layer(debian("2.36"), tmp_path / "layer.tar")
    assert tree_glibc(Tree.of(list_tar(layer.path, name="layer"))) == Glibc(2, 36)
    assert tree_glibc(Tree.of((symlink("lib/libc.so.6", "nowhere"),))) is None


def test_what_is_known_of_a_base_beforehand_is_enough_to_refuse_it() -> None:
    linkage = Linkage(loader=LOADER, glibc=Glibc(2, 30))
    problem = libc_problem("envoy", linkage, Glibc(2, 23), "ubuntu xenial")
    assert problem == "envoy needs glibc 2.30, and ubuntu xenial has 2.23"
    assert libc_problem("envoy", linkage, Glibc(2, 31), "ubuntu focal") == ""
    assert libc_problem("envoy", linkage, None, "an image") == ""


def test_files_of_commands_are_looked_at_and_those_of_the_tree_are_not(tmp_path: Path) -> None:
    made, other = tmp_path / "command" / "rust", tmp_path / "other"
    (made / "page").mkdir(parents=True)
    other.mkdir()
    for path in (made / "rust", other / "rust"):
        path.write_bytes(b"x")
    places = (made / "rust", made / "page", other / "rust")
    context = (*((path.name, f"file:{path}") for path in places), ("app", "binary/app@linux/amd64"))
    given = {
        unit: Artifact(unit=unit, digest="sha256:0", size=1, path=path)
        for unit, path in (("command/rust", made), ("binary/app@linux/amd64", other))
    }
    assert list(made_by_commands(context, given)) == [made / "rust"]
