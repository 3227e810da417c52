"""A go command that answers from memory, for :class:`tests.fakes.runner.FakeRunner`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fakes.runner import Call

DATABASE = "sum.example.org"


class FakeGo:
    """Answers ``go env``, ``go mod download`` and ``go list -m`` for one module.

    Attributes:
        files: the module's content.
        sum: its ``h1:``.
        recorded: whether the checksum database is asked, which leaves a record.
        error: what every download ends in, if not empty.
        absent: a part of the versions that do not exist, if not empty.
    """

    def __init__(self, files: dict[str, bytes], *, h1: str) -> None:
        self.files = files
        self.sum = h1
        self.recorded = True
        self.error = ""
        self.absent = ""
        self.downloads = 0

    def __call__(self, call: Call) -> tuple[int, bytes, bytes]:
        """Play one call."""
        match call.argv[1:]:
            case ("env", *_):
                return 0, json.dumps({"GOPROXY": "https://proxy.example"}).encode(), b""
            case ("mod", "download", "-json", module):
                return self._download(module, Path(call.env["GOMODCACHE"]))
            case ("list", "-m", "-json", module):
                return self._list(module, Path(call.env["GOMODCACHE"]))
            case _:
                raise AssertionError(call.argv)

    def _download(self, module: str, modcache: Path) -> tuple[int, bytes, bytes]:
        self.downloads += 1
        if self.error:
            return 1, json.dumps({"Error": self.error}).encode(), b""
        tree = modcache / module
        for name, content in self.files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o444)
        return 0, json.dumps({"Dir": str(tree), "Sum": self.sum}).encode(), b""

    def _list(self, module: str, modcache: Path) -> tuple[int, bytes, bytes]:
        if self.error or (self.absent and self.absent in module):
            return 1, b"", self.error.encode() or b"not found"
        path, _, version = module.partition("@")
        exact = "v1.2.3" if version == "latest" else version
        if self.recorded:
            place = modcache / "cache" / "download" / "sumdb" / DATABASE / "lookup"
            record = place / f"{path}@{exact}"
            record.parent.mkdir(parents=True)
            record.write_text(
                f"17\n{path} {exact} {self.sum}\n{path} {exact}/go.mod h1:mod=\n\n"
                "go.sum database tree\n"
            )
            tile = place.parent / "tile" / "8"
            tile.mkdir(parents=True)
            (tile / "000").write_bytes(b"\xff\xfe")
        return 0, json.dumps({"Path": path, "Version": exact}).encode(), b""
