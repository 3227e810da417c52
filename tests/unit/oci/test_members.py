from __future__ import annotations

import tarfile

import pytest

from buildkit.oci.layer import Entry, EntryType
from buildkit.oci.members import entry_of, entry_type, inside


def member(kind: bytes, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo("./a")
    found.type, found.linkname = kind, link
    found.mode, found.uid, found.gid = 0o104755, 3, 4
    return found


@pytest.mark.parametrize(
    ("kind", "link", "content", "pointing"),
    [
        (tarfile.REGTYPE, "left from before", b"x", ""),
        (tarfile.DIRTYPE, "", b"", ""),
        (tarfile.SYMTYPE, "../b", b"", "../b"),
        (tarfile.LNKTYPE, "./c/../b", b"", "b"),
    ],
)
def test_only_links_point_and_only_files_have_content(
    kind: bytes, link: str, content: bytes, pointing: str
) -> None:
    one = member(kind, link)
    found = entry_type(one)
    assert found is not None
    assert entry_of(one, found, "a", b"x") == Entry(
        path="a", type=found, mode=0o4755, uid=3, gid=4, content=content, link=pointing
    )


def test_a_device_is_nothing_that_a_layer_has() -> None:
    assert entry_type(member(tarfile.CHRTYPE)) is None
    assert entry_type(member(tarfile.AREGTYPE)) is EntryType.FILE


@pytest.mark.parametrize(("path", "found"), [("./", ""), ("/a/../../b", "b"), (".", "")])
def test_no_path_leads_out(path: str, found: str) -> None:
    assert inside(path) == found
