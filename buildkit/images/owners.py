"""Users and groups by name, as an image's own /etc/passwd and /etc/group say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from buildkit.errors import BuildkitError
from buildkit.images.tree import Tree
from buildkit.oci.layer import EntryType
from buildkit.oci.tarstream import content_blocks, content_size

_LIMIT = 1 << 20
_USERS = "etc/passwd"
_GROUPS = "etc/group"


def find_owner(tree: Tree, text: str, refuse: Callable[[str], BuildkitError]) -> tuple[int, int]:
    """Return the user and group of ``user[:group]``; a user alone brings its own group.

    A number needs no entry; without a group it is both.

    Raises:
        BuildkitError: a name is not in the image.
    """
    user, colon, group = text.partition(":")
    uid, gid = _user(tree, user, refuse) if user else (0, 0)
    if not colon or not group:
        return uid, gid
    if group.isdecimal():
        return uid, int(group)
    for fields in _lines(tree, _GROUPS):
        if fields[0] == group and fields[2].isdecimal():
            return uid, int(fields[2])
    raise refuse(f"the image's /{_GROUPS} has no group '{group}'")


def _user(tree: Tree, user: str, refuse: Callable[[str], BuildkitError]) -> tuple[int, int]:
    if user.isdecimal():
        return int(user), int(user)
    for fields in _lines(tree, _USERS):
        if fields[0] == user and fields[2].isdecimal() and fields[3].isdecimal():
            return int(fields[2]), int(fields[3])
    raise refuse(f"the image's /{_USERS} has no user '{user}'")


def _lines(tree: Tree, path: str) -> Iterator[list[str]]:
    entry = tree.find(path)
    if entry is None or entry.type is not EntryType.FILE:
        return
    size = content_size(entry.content)
    if size > _LIMIT:
        return
    data = b"".join(map(bytes, content_blocks(entry.content, size)))
    for line in data.decode("utf-8", "replace").splitlines():
        yield [*line.split(":"), "", "", "", ""]
