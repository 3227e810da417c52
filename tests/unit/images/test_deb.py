from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import BuildError
from buildkit.images.deb import STATUS, debian_entries, merge_usr, package_entries
from buildkit.oci.layer import Entry, EntryType, arrange, directory, file, symlink
from tests.unit.images.fake_archive import Member, ar, deb


def written(folder: Path, name: str, data: bytes) -> tuple[str, Path]:
    path = folder / f"{name}.deb"
    path.write_bytes(data)
    return name, path


def unpacked(folder: Path, *members: Member, compress: str = "xz") -> dict[str, Entry]:
    name, path = written(folder, "x", deb("x", *members, compress=compress))
    return {entry.path: entry for entry in package_entries(name, path, folder)}


@pytest.mark.parametrize("compress", ["xz", "gz", ""])
def test_files_and_what_scanners_read_come_out(tmp_path: Path, compress: str) -> None:
    entries = unpacked(tmp_path, ("./usr/", None), ("./usr/a", b"content"), compress=compress)
    assert sorted(entries) == ["usr", "usr/a", f"{STATUS}/x", f"{STATUS}/x.md5sums"]
    control = entries[f"{STATUS}/x"].content
    assert isinstance(control, bytes)
    assert control.startswith(b"Package: x\n")
    content = entries["usr/a"].content
    assert isinstance(content, Path)
    assert content.read_bytes() == b"content"


def test_zstd_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    data = ar(("debian-binary", b"2.0\n"), ("control.tar.zst", b"x"), ("data.tar.zst", b"x"))
    name, path = written(tmp_path, "x", data)
    with pytest.raises(BuildError, match=r"package x is compressed as \.zst") as caught:
        list(package_entries(name, path, tmp_path))
    assert "zstd" in caught.value.details


@pytest.mark.parametrize(
    "data",
    [
        b"not an archive",
        deb("x", ("./a", b"y" * 5000))[:-300],
        ar(("debian-binary", b"2.0\n"), ("control.tar.xz", b"garbage")),
        ar(("debian-binary", b"2.0\n"), ("control.tar.gz", b"garbage")),
        ar(("debian-binary", b"2.0\n")),
    ],
)
def test_a_damaged_package_is_an_error_that_names_it(tmp_path: Path, data: bytes) -> None:
    name, path = written(tmp_path, "x", data)
    with pytest.raises(BuildError, match="the package x "):
        list(package_entries(name, path, tmp_path))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (file("lib/x/a.so", b""), file("usr/lib/x/a.so", b"")),
        (file("usr/lib/a", b""), file("usr/lib/a", b"")),
        (file("library/a", b""), file("library/a", b"")),
        (directory("lib64"), directory("usr/lib64")),
        (symlink("bin", "usr/bin"), None),
        (symlink("lib64/ld.so", "/lib/x/ld.so"), symlink("usr/lib64/ld.so", "/lib/x/ld.so")),
        (symlink("lib/x/a", "b.so"), symlink("usr/lib/x/a", "/lib/x/b.so")),
        (symlink("lib/x/a", "../../usr/lib/a"), symlink("usr/lib/x/a", "/usr/lib/a")),
        (
            Entry(path="usr/b", type=EntryType.HARDLINK, link="bin/b"),
            Entry(path="usr/b", type=EntryType.HARDLINK, link="usr/bin/b"),
        ),
    ],
)
def test_old_paths_move_below_usr(entry: Entry, expected: Entry | None) -> None:
    assert merge_usr(entry) == expected


def base(folder: Path, *packages: tuple[str, bytes]) -> dict[str, Entry]:
    files = [written(folder, name, data) for name, data in packages]
    return {entry.path: entry for entry in arrange(debian_entries(files, folder))}


def test_old_and_new_packages_give_one_merged_tree(tmp_path: Path) -> None:
    old = deb("old", ("./lib/", None), ("./lib64/", None), ("./lib64/ld.so", "/lib/ld.so"))
    new = deb("new", ("./lib", "usr/lib"), ("./usr/lib/", None), ("./usr/lib/ld.so", b"elf"))
    entries = base(tmp_path, ("old", old), ("new", new))
    links = {path: entry.link for path, entry in entries.items() if "/" not in path}
    assert {"bin", "sbin", "lib", "lib64"} <= links.keys()
    assert links["lib"] == "usr/lib"
    assert "lib32" not in links
    assert entries["usr/lib64/ld.so"].link == "/lib/ld.so"


def test_users_and_certificates_win_over_a_package(tmp_path: Path) -> None:
    entries = base(tmp_path, ("p", deb("p", ("./tmp/", None), ("./etc/passwd", b"root"))))
    assert entries["tmp"].mode == 0o1777
    passwd = entries["etc/passwd"].content
    assert isinstance(passwd, bytes)
    assert b"istio-proxy:x:1337:1337" in passwd
    assert "etc/ssl/certs/ca-certificates.crt" in entries


def test_a_directory_of_two_packages_keeps_the_first_mode(tmp_path: Path) -> None:
    entries = base(tmp_path, ("a", deb("a", ("./opt/", None))), ("b", deb("b", ("./opt/", None))))
    assert entries["opt"].mode == 0o755


def test_two_packages_with_the_same_file_are_refused(tmp_path: Path) -> None:
    one, two = deb("a", ("./x", b"1")), deb("b", ("./x", b"2"))
    with pytest.raises(BuildError, match="package b brings /x") as caught:
        base(tmp_path, ("a", one), ("b", two))
    assert "packages" in caught.value.resolution
