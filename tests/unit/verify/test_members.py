"""Files inside archives and packages: names, modes, content; damage is one error."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.machine import HEADER_SIZE
from buildkit.verify.members import PackageFacts, layer_members, read_members, read_package
from tests.unit.images.fake_archive import ar, deb, tar
from tests.unit.verify.packages import rpm

TEXT = b"1.2.3\0"
LARGE = b"x" * ((1 << 20) - 3) + TEXT + b"y"
"""The text lies across two blocks that are read."""


def tar_gz() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, mode, data in (("./a/app", 0o755, LARGE), ("LICENSE", 0o644, b"free")):
            info = tarfile.TarInfo(name)
            info.mode, info.size, info.mtime = mode, len(data), 7
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("z")
        link.type, link.linkname = tarfile.SYMTYPE, "a/app"
        archive.addfile(link)
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("a")
        for name, mode, data in (("a/app", 0o755, LARGE), ("LICENSE", 0o644, b"free")):
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def as_deb(compress: str) -> bytes:
    return deb("mesh", ("./a", None), ("./a/app", LARGE), ("./LICENSE", b"free"), compress=compress)


def as_rpm(compress: str) -> bytes:
    files = {
        "./a": (stat.S_IFDIR | 0o755, b""),
        "./a/app": (stat.S_IFREG | 0o755, LARGE),
        "./LICENSE": (stat.S_IFREG | 0o644, b"free"),
    }
    return rpm(files, compress=compress)


ARCHIVES = {
    "x.tar.gz": tar_gz(),
    "x.tgz": tar_gz(),
    "x.zip": zipped(),
    "xz.deb": as_deb("xz"),
    "gz.deb": as_deb("gz"),
    "plain.deb": as_deb(""),
    "gz.rpm": as_rpm("gz"),
    "xz.rpm": as_rpm("xz"),
    "plain.rpm": as_rpm(""),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_kind_of_archive_is_read_alike(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(ARCHIVES[name])
    found = {member.name: member for member in read_members(path, TEXT)}
    app, license_ = found["a/app"], found["LICENSE"]
    assert found.keys() <= {"a/app", "LICENSE", "z"}
    assert (app.digest, license_.digest) == (Digest.of_bytes(LARGE), Digest.of_bytes(b"free"))
    assert (app.holds, license_.holds) == (True, False)
    assert (app.head, license_.head) == (LARGE[:HEADER_SIZE], b"free")
    assert license_.mode == 0o644
    assert not read_members(path, b"no such text")[0].holds


def test_a_link_is_where_it_leads_to_and_time_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(tar_gz())
    app, _, link = read_members(path)
    assert (app.mode, app.time) == (0o755, 7)
    assert (link.name, link.digest) == ("z", Digest.of_bytes(b"a/app"))
    layer = tmp_path / "blob"
    layer.write_bytes(tar_gz())
    assert layer_members(layer) == read_members(path)


def test_what_is_no_archive_has_no_files(tmp_path: Path) -> None:
    path = tmp_path / "checksums.txt"
    path.write_bytes(b"text")
    assert read_members(path) == ()
    with pytest.raises(VerificationError, match=r"checksums\.txt is no tar"):
        layer_members(path)


def test_packages_tell_what_they_are(tmp_path: Path) -> None:
    for name, arch, version in (("x.deb", "amd64", "1"), ("x.rpm", "x86_64", "1.2.3")):
        path = tmp_path / name
        path.write_bytes(ARCHIVES[f"gz{path.suffix}"])
        facts = PackageFacts(name="mesh", version=version, architecture=arch)
        assert read_package(path) == facts


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_cut_anywhere_is_one_error(tmp_path: Path, name: str) -> None:
    path, data = tmp_path / name, ARCHIVES[name]
    whole = _members_of(path, data)
    for part in (0, 1, 7, 60, 100, 120, len(data) // 2, len(data) - 600):
        assert _members_of(path, data[:part]) != whole


def _members_of(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    try:
        return read_members(path)
    except VerificationError as error:
        return error.brief


BAD_PACKAGES = {
    "text.deb": b"text",
    "nodata.deb": ar(("debian-binary", b"2.0\n")),
    "nocontrol.deb": ar(("control.tar.gz", tar(("./md5sums", b"x"), compress="gz"))),
    "nofields.deb": ar(("control.tar.gz", tar(("./control", b"A: b\n"), compress="gz"))),
    "zstd.deb": ar(("control.tar.zst", b"\x28\xb5\x2f\xfd1234")),
    "size.deb": b"!<arch>\n" + b"control.tar.gz".ljust(60),
    "text.rpm": b"text",
    "zero.rpm": bytes(200),
    "nofields.rpm": rpm({}).replace(b"\0\0\x03\xe8", b"\0\0\x03\xe7"),
}


@pytest.mark.parametrize("name", BAD_PACKAGES)
def test_what_is_no_package_is_one_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(BAD_PACKAGES[name])
    with pytest.raises(VerificationError, match="is no package"):
        read_package(path)


def test_a_name_without_end_in_cpio_is_an_error(tmp_path: Path) -> None:
    data = rpm({"a": (stat.S_IFREG, b"")}, compress="")
    path = tmp_path / "x.rpm"
    path.write_bytes(
        data.replace(b"00000002" + b"00000000" + b"a", b"00ffffff" + b"00000000" + b"a")
    )
    with pytest.raises(VerificationError, match=r"x\.rpm cannot be read"):
        read_members(path)
