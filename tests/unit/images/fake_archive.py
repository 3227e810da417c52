"""A Debian archive in memory, the pool that reads it and the gpgv that believes in it."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Self, cast

from buildkit.config.lock import PackagePin
from buildkit.errors import EnvironmentMissingError
from buildkit.http import HttpPool
from buildkit.images.archive import DebianArchive
from buildkit.proc import Completed
from buildkit.store import Store

URL = "http://archive.example/debian"
GOOD = b"[GNUPG:] GOODSIG 1234 Debian\n"

Member = tuple[str, bytes | str | None]
"""A path with its content, the target of a link, or None for a directory."""


def tar(*members: Member, compress: str = "xz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if content is None else 0o644
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    data = buffer.getvalue()
    if compress == "xz":
        return lzma.compress(data)
    return gzip.compress(data) if compress == "gz" else data


def ar(*members: tuple[str, bytes]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, data in members:
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode())
        parts.append(data + b"\n" * (len(data) % 2))
    return b"".join(parts)


def deb(name: str, *members: Member, compress: str = "xz") -> bytes:
    control = f"Package: {name}\nVersion: 1\nArchitecture: amd64\n".encode()
    suffix = f".{compress}" if compress else ""
    return ar(
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", tar(("./control", control), ("./md5sums", b"x"), compress="gz")),
        (f"data.tar{suffix}", tar(*members, compress=compress)),
    )


class Answer:
    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def stream(self) -> Iterator[bytes]:
        for start in range(0, len(self.body), 100):
            yield self.body[start : start + 100]

    def read(self, limit: int) -> bytes:
        assert len(self.body) <= limit
        return self.body


@dataclass
class FakeArchive:
    """Files by path; ``asked`` is what was downloaded, ``runs`` what was started."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    runs: list[tuple[str, ...]] = field(default_factory=list)
    signature: bytes = GOOD
    gpgv_missing: bool = False
    status: int = 200

    @property
    def pool(self) -> HttpPool:
        return cast("HttpPool", SimpleNamespace(open=self.open))

    def open(self, method: str, url: str) -> Answer:
        assert method == "GET"
        path = url.removeprefix(f"{URL}/")
        self.asked.append(path)
        if path not in self.files:
            return Answer(404, b"")
        return Answer(self.status, self.files[path])

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: bytes = b"",
        log: Path | None = None,
    ) -> Completed:
        del env, cwd, stdin, log
        self.runs.append(tuple(argv))
        if self.gpgv_missing:
            raise EnvironmentMissingError("cannot start gpgv", details="No such file")
        return Completed(
            argv=tuple(argv),
            returncode=2,
            stdout=Path(argv[-1]).read_bytes(),
            stderr=self.signature,
            seconds=0.0,
        )

    def add(self, name: str, data: bytes, version: str = "1", **fields: str) -> PackagePin:
        """Put a package and its paragraph into the archive's index for amd64."""
        path = f"pool/main/{name}_{version}_amd64.deb"
        self.files[path] = data
        paragraph = {
            "Package": name,
            "Version": version,
            "Filename": path,
            "Size": str(len(data)),
            "SHA256": sha256(data).hexdigest(),
            **fields,
        }
        text = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in paragraph.items())
        index = lzma.decompress(self.files["index"]) if "index" in self.files else b""
        self.publish(index + text.encode() + b"\n")
        return PackagePin(
            name=name,
            version=version,
            file=path,
            size=len(data),
            sha256=sha256(data).hexdigest(),
        )

    def publish(self, index: bytes, *, codename: str = "trixie") -> None:
        """Write the index and a release that names it."""
        data = lzma.compress(index)
        digest = sha256(data).hexdigest()
        by_hash = f"dists/trixie/main/binary-amd64/by-hash/SHA256/{digest}"
        release = (
            f"Origin: Debian\nCodename: {codename}\nAcquire-By-Hash: yes\nSHA256:\n"
            f" {digest} {len(data)} main/binary-amd64/Packages.xz\n"
        )
        self.files |= {"index": data, by_hash: data, "dists/trixie/InRelease": release.encode()}

    def open_suite(self, store: Store, keyring: Path) -> DebianArchive:
        keyring.touch()
        return DebianArchive(
            url=URL,
            suite="trixie",
            pool=self.pool,
            runner=self,
            store=store,
            environ={"PATH": "/bin"},
            keyrings=(keyring, keyring.with_suffix(".missing")),
        )
