from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildkit.build.archive import extract_member
from buildkit.errors import FetchError
from tests.fakes.tars import TarMode

CONTENT = b"\x7fELF and so on" * 1000


def make_tar(path: Path, mode: TarMode, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


MEMBERS: dict[str, bytes | tarfile.TarInfo] = {
    "./README": b"read me",
    "./usr/local/bin/envoy": CONTENT,
}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_a_member_comes_out_of_a_tar_of_any_packing(tmp_path: Path, mode: TarMode) -> None:
    archive = make_tar(tmp_path / "download", mode, MEMBERS)
    extract_member(archive, "usr/local/bin/envoy", tmp_path / "envoy")
    assert (tmp_path / "envoy").read_bytes() == CONTENT


def test_a_member_comes_out_of_a_zip(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "download", {"envoy/_bin/envoy": CONTENT})
    extract_member(archive, "envoy/_bin/envoy", tmp_path / "envoy")
    assert (tmp_path / "envoy").read_bytes() == CONTENT


def test_names_that_point_outside_write_nothing_outside(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    escaping = "../../escaped"
    archive = make_tar(tmp_path / "download", "w", {escaping: CONTENT, "envoy": b"good"})
    extract_member(archive, "envoy", inside / "member")
    extract_member(archive, escaping, inside / "other")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "download",
        "inside",
        "member",
        "other",
    ]


@pytest.mark.parametrize(
    ("kind", "target"),
    [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "README")],
)
def test_a_link_in_a_tar_is_refused(tmp_path: Path, kind: bytes, target: str) -> None:
    linked = link("envoy", kind, target)
    archive = make_tar(tmp_path / "download", "w", {"README": b"x", "envoy": linked})
    with pytest.raises(FetchError, match="is a link, which is not followed"):
        extract_member(archive, "envoy", tmp_path / "envoy")
    assert not (tmp_path / "envoy").exists()


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("envoy")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "download", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(FetchError, match="is a link, which is not followed"):
        extract_member(tmp_path / "download", "envoy", tmp_path / "envoy")


@pytest.mark.parametrize("pack", ["zip", "tar"])
def test_a_missing_member_lists_its_neighbours_of_the_same_name_first(
    tmp_path: Path, pack: str
) -> None:
    members = {"envoy/_bin/envoy": CONTENT, "LICENSE": b"x"}
    path = tmp_path / "download"
    archive = make_zip(path, members) if pack == "zip" else make_tar(path, "w:gz", {**members})
    with pytest.raises(FetchError) as caught:
        extract_member(archive, "bin/envoy", tmp_path / "envoy")
    assert caught.value.brief == "download holds no bin/envoy"
    assert caught.value.details.startswith("It holds envoy/_bin/envoy")
    assert not (tmp_path / "envoy").exists()


@pytest.mark.parametrize("pack", ["zip", "tar"])
def test_a_directory_is_no_member(tmp_path: Path, pack: str) -> None:
    path = tmp_path / "download"
    directory = tarfile.TarInfo("bin")
    directory.type = tarfile.DIRTYPE
    if pack == "zip":
        archive = make_zip(path, {"bin/": b""})
    else:
        archive = make_tar(path, "w", {"bin": directory})
    with pytest.raises(FetchError, match="holds no bin"):
        extract_member(archive, "bin", tmp_path / "envoy")


@pytest.mark.parametrize("pack", ["zip", "tar"])
def test_a_member_above_the_limit_is_refused(tmp_path: Path, pack: str) -> None:
    path = tmp_path / "download"
    bomb = {"envoy": bytes(5_000_000)}
    archive = make_zip(path, bomb) if pack == "zip" else make_tar(path, "w:gz", {**bomb})
    assert archive.stat().st_size < 50_000
    with pytest.raises(FetchError, match="larger than allowed"):
        extract_member(archive, "envoy", tmp_path / "envoy", limit=1_000_000)
    assert not (tmp_path / "envoy").exists()


def test_a_bomb_before_the_member_ends_the_search(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "d", "w:gz", {"a": bytes(5_000_000), "envoy": CONTENT})
    with pytest.raises(FetchError, match="more than 1000000 bytes before the member"):
        extract_member(archive, "envoy", tmp_path / "envoy", scan_limit=1_000_000)


def test_zstd_is_named_as_not_supported(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"\x28\xb5\x2f\xfd rest")
    with pytest.raises(FetchError, match="packed with zstd"):
        extract_member(tmp_path / "d", "envoy", tmp_path / "envoy")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2", "zip"])
def test_a_cut_archive_is_one_clear_error(tmp_path: Path, mode: TarMode | Literal["zip"]) -> None:
    path = tmp_path / "download"
    body = bytes(range(256)) * 4000
    if mode == "zip":
        make_zip(path, {"envoy": body})
    else:
        make_tar(path, mode, {"envoy": body})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FetchError, match="not an archive that can be read"):
        extract_member(path, "envoy", tmp_path / "envoy")
    assert not (tmp_path / "envoy").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.floats(0, 1), value=st.integers(0, 255), pack=st.sampled_from(["w:gz", "zip"]))
def test_a_flipped_byte_never_ends_in_another_kind_of_error(
    tmp_path: Path, place: float, value: int, pack: Literal["w:gz", "zip"]
) -> None:
    path, target = tmp_path / "download", tmp_path / "envoy"
    if pack == "zip":
        make_zip(path, {"envoy": CONTENT})
    else:
        make_tar(path, pack, {"envoy": CONTENT})
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] = value
    path.write_bytes(data)
    try:
        extract_member(path, "envoy", target)
    except FetchError:
        assert not target.exists()
