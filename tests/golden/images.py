"""What the Dockerfiles of the table start from and copy, the same on every machine."""

from __future__ import annotations

import bz2
import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from buildkit.images.context import context_entries
from buildkit.images.layers import Layers
from buildkit.images.sheet import Sheet, SheetLayer
from buildkit.oci.layer import Entry, EntryType, directory, file, symlink, write_layer
from buildkit.platform import Platform

NAMES = ("full", "bare", "other")

_FILES = {
    "a.txt": b"a\n",
    "b.txt": b"bb\n",
    "run.sh": b"#!/bin/sh\n",
    "arch-amd64.txt": b"amd64\n",
    "arch-arm64.txt": b"arm64\n",
    "passwd": b"root:x:0:0::/:/bin/sh\nlate:x:77:78::/:/bin/sh\n",
    "tree/one.txt": b"one\n",
    "tree/.hidden": b"hidden\n",
    "tree/sub/two.txt": b"two\n",
    "tree/sub/run.sh": b"#!/bin/sh\necho\n",
    "tree/empty/.keep": b"",
    "over/keep.txt": b"changed\n",
    "over/link": b"no link\n",
    "over/sub/g": b"g\n",
    "glob/x1.conf": b"x1\n",
    "glob/x2.conf": b"x2\n",
    "glob/y1.conf": b"y1\n",
    "glob/z1.conf": b"z1\n",
    "glob/st*r.conf": b"star\n",
    "glob/star.conf": b"no star\n",
    "with space/f i.txt": b"space\n",
}
_LINKS = {
    "tree/link": "one.txt",
    "tree/dirlink": "sub",
    "tree/broken": "missing",
    "tree/abs": "/tree/one.txt",
    "tree/lonk": "sub/../one.txt",
}


def context(folder: Path) -> tuple[Entry, ...]:
    """Write the files of the context below a folder and return them as a build has them."""
    for name, data in {**_FILES, **_archives()}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    for name, target in _LINKS.items():
        (folder / name).symlink_to(target)
    names = sorted(path.name for path in folder.iterdir())
    return context_entries({name: folder / name for name in names})


def base(name: str, platform: Platform, layers: Layers) -> Sheet:
    """Return one of the images that the table knows."""
    made = {"full": _full, "bare": _bare, "other": _other}[name](layers)
    config, held = made
    value = {
        "architecture": platform.arch,
        "os": platform.os,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in held]},
        "created": "1970-01-01T00:00:00Z",
    }
    if platform.variant:
        value["variant"] = platform.variant
    return Sheet(config=msgspec.json.encode(value).decode(), layers=held)


Made = tuple[Mapping[str, object], tuple[SheetLayer, ...]]


def _full(layers: Layers) -> Made:
    config = {
        "Env": ["PATH=/base/bin:/bin", "BASE_VAR=base", "SPACE=a b"],
        "Entrypoint": ["/base-entry"],
        "Cmd": ["base-cmd"],
        "Labels": {"base": "1"},
        "ExposedPorts": {"1/tcp": {}},
    }
    below = _layer(layers, *_BASE, file("gone.txt", b"gone\n"))
    above = _layer(layers, file(".wh.gone.txt", b""), symlink("lib", "usr/lib"))
    return config, (below, above)


def _bare(layers: Layers) -> Made:
    return {}, (_layer(layers, file("bare.txt", b"bare\n")),)


def _other(layers: Layers) -> Made:
    return {}, (_layer(layers, _of("other.txt", 6, 7, content=b"other\n")),)


def _layer(layers: Layers, *entries: Entry) -> SheetLayer:
    with layers.store.workspace() as folder:
        written = write_layer(entries, folder / "layer.tar")
        layers.store.put_file(written.path)
    return SheetLayer(diff_id=str(written.diff_id), size=written.size)


def _of(path: str, uid: int, gid: int, mode: int = 0o644, *, content: bytes = b"") -> Entry:
    return Entry(path=path, mode=mode, uid=uid, gid=gid, content=content)


_PASSWD = (
    b"root:x:0:0:root:/root:/bin/sh\n# a comment\napp:x:1001:1002:App:/home/app:/bin/sh\n"
    b"12:x:1234:1234::/:/bin/sh\n"
)
_GROUP = b"root:x:0:\napp:x:1002:\nstaff:x:50:app\n"
_BASE = (
    file("etc/passwd", _PASSWD),
    file("etc/group", _GROUP),
    file("usr/lib/libx.so", b"x\n", 0o755),
    file("usr/lib/liby.so", b"y\n"),
    directory("usr/share", 0o755),
    file("usr/share/doc", b"doc\n"),
    _of("usr/bin/su", 0, 0, 0o4755, content=b"su\n"),
    Entry(path="usr/bin/su2", type=EntryType.HARDLINK, mode=0o4755, link="usr/bin/su"),
    symlink("abs", "/usr/share"),
    directory("data", 0o700, uid=7, gid=8),
    _of("data/keep.txt", 7, 8, 0o600, content=b"keep\n"),
    _of("data/old.txt", 7, 8, 0o600, content=b"old\n"),
    directory("data/sub", 0o700, uid=7, gid=8),
    _of("data/sub/f", 7, 8, 0o600, content=b"f\n"),
    directory("home/app", 0o750, uid=1001, gid=1002),
    symlink("link-to-file", "/data/keep.txt"),
    symlink("dangling", "/nowhere/deep/file"),
    symlink("loop1", "loop2"),
    symlink("loop2", "loop1"),
    directory("loops"),
    symlink("loops/self", "self"),
    file("existing", b"existing\n"),
    directory("tmp", 0o1777),
)


def _archives() -> dict[str, bytes]:
    plain, over = _tar(_IN_TAR), _tar(_OVER)
    return {
        "plain.tar": plain,
        "packed.tar.gz": _gzip(plain),
        "packed.tar.bz2": _bzip2(plain),
        "archive-without-suffix": _gzip(plain),
        "not-a-tar.tar.gz": b"only text\n",
        "text.gz": _gzip(b"only text\n"),
        "over.tar": over,
    }


def _member(name: str, kind: bytes = tarfile.REGTYPE, **values: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in values.items():
        setattr(info, key, value)
    return info


_IN_TAR: tuple[tuple[tarfile.TarInfo, bytes], ...] = (
    (_member("./", tarfile.DIRTYPE, mode=0o700, uid=9, gid=9), b""),
    (_member("./dir/", tarfile.DIRTYPE, mode=0o750, uid=5, gid=6), b""),
    (_member("dir/file", mode=0o640, uid=5, gid=6), b"in tar\n"),
    (_member("dir/run", mode=0o4755), b"run\n"),
    (_member("alone/deep/file", mode=0o600, uid=5, gid=6), b"alone\n"),
    (_member("dir/link", tarfile.SYMTYPE, mode=0o777, linkname="file", uid=5, gid=6), b""),
    (_member("dir/hard", tarfile.LNKTYPE, mode=0o640, linkname="dir/file", uid=5, gid=6), b""),
)
_OVER: tuple[tuple[tarfile.TarInfo, bytes], ...] = (
    (_member("data/", tarfile.DIRTYPE, mode=0o711, uid=5, gid=6), b""),
    (_member("data/keep.txt", mode=0o644), b"from tar\n"),
    (_member("data/sub", mode=0o644), b"a file now\n"),
    (_member("link-to-file", mode=0o644), b"no link now\n"),
    (_member("existing/", tarfile.DIRTYPE, mode=0o755), b""),
    (_member("existing/x", mode=0o644), b"x\n"),
    (_member("abs/added", mode=0o644), b"through the link\n"),
    (_member("lib/", tarfile.DIRTYPE, mode=0o755), b""),
    (_member("lib/new", mode=0o644), b"in a directory of its own\n"),
)


def _tar(members: tuple[tuple[tarfile.TarInfo, bytes], ...]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def _gzip(data: bytes) -> bytes:
    # Stored, not deflated: the same bytes whatever zlib is installed.
    head, tail = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", b""
    for start in range(0, len(data), 0xFFFF):
        part = data[start : start + 0xFFFF]
        last = start + 0xFFFF >= len(data)
        size = len(part).to_bytes(2, "little")
        tail += bytes([last]) + size + bytes(255 - byte for byte in size) + part
    check = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return head + tail + check


def _bzip2(data: bytes) -> bytes:
    return bz2.compress(data)
