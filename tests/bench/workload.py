"""What is measured: large programs that look like compiled ones, and the images they go into."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.tiny import aarch64, x86_64

MEGA = 10**6
SIZES = {"one": 60, "two": 70, "three": 80, "four": 100, "five": 120, "six": 200}
"""Megabytes of each image's program: as large as those of a mesh."""
CHANGED = "four"

_BLOCK = 1 << 20
_STAMP = 16
_DOCKERFILE = """\
FROM {{ base }}
COPY {{ vars.program }} /usr/local/bin/{{ vars.program }}
ENTRYPOINT ["/usr/local/bin/{{ vars.program }}"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Six images of one program each, as files for every tool that is measured.

    Attributes:
        folder: where everything lies.
        code: an executable whose machine code fills the programs, so that they
            compress as real ones do.
        platform: what the programs are for, ``linux/amd64`` or ``linux/arm64``.
        scale: a divisor of the sizes, for a test that is quick.
    """

    folder: Path
    code: Path
    platform: str
    scale: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The images, each of which holds the program of its name."""
        return tuple(SIZES)

    @property
    def targets(self) -> Path:
        """The configuration of our tool."""
        return self.folder / "targets.toml"

    def program(self, name: str) -> Path:
        """Return the program of an image."""
        return self.root(name) / self.inside(name)

    def root(self, name: str) -> Path:
        """Return the directory that looks like the root of an image."""
        return self.folder / "files" / name

    def inside(self, name: str) -> str:
        """Return where an image has its program, below its root."""
        return f"usr/local/bin/{name}"

    def tar(self, name: str, *, stored: bool = False) -> Path:
        """Return the layer of an image for crane, plain or in gzip without compression."""
        return self.folder / "tars" / f"{name}.tar{'.gz' if stored else ''}"

    def create(self) -> None:
        """Write everything anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in ("files", "tars", "docker"):
            (self.folder / part).mkdir(parents=True)
        self.targets.write_text("".join(self._targets()))
        (self.folder / "Dockerfile.j2").write_text(_DOCKERFILE)
        for number, name in enumerate(self.names):
            self._write_program(name, number)
            self._pack(name)
            self._docker_context(name)

    def change(self, turn: int) -> None:
        """Change one program in one place, and what is derived from it for the others."""
        with self.program(CHANGED).open("r+b") as stream:
            stream.seek(_BLOCK // 2)
            stream.write(f"turn {turn}".encode().ljust(_STAMP))
        self._pack(CHANGED)

    def size(self, name: str) -> int:
        """Return the size of a program in bytes."""
        return SIZES[name] * MEGA // self.scale

    def _targets(self) -> Iterator[str]:
        yield 'schema_version = 1\n[project]\nname = "bench"\n[version]\ngit = false\n'
        yield f'[matrix]\nplatforms = ["{self.platform}"]\n[bases.none]\nkind = "scratch"\n'
        for name in self.names:
            yield f'[images.{name}]\nbase = ["none"]\ntemplate = "Dockerfile.j2"\n'
            file = self.program(name).relative_to(self.folder)
            yield f'files = {{ {name} = "{file}" }}\n'
            yield f'variables = {{ program = "{name}" }}\n'

    def _write_program(self, name: str, number: int) -> None:
        code, path = self.code.read_bytes(), self.program(name)
        head = (aarch64 if self.platform.endswith("arm64") else x86_64)(b"bench\n")
        left, place = self.size(name) - len(head), number * len(code) // len(SIZES)
        path.parent.mkdir(parents=True)
        with path.open("wb") as stream:
            stream.write(head)
            while left > 0:
                block = code[place : place + min(left, _BLOCK)]
                # No two megabytes are the same, so nothing is stored once for two.
                stream.write(f"{name} {left}".encode().ljust(_STAMP)[: len(block)])
                stream.write(block[_STAMP:])
                left -= len(block)
                place = (place + len(block)) % len(code)
        path.chmod(0o755)

    def _pack(self, name: str) -> None:
        with tarfile.open(self.tar(name), "w") as archive:
            archive.add(self.program(name), self.inside(name))
        with (
            self.tar(name).open("rb") as plain,
            gzip.open(self.tar(name, stored=True), "wb", compresslevel=0) as packed,
        ):
            shutil.copyfileobj(plain, packed, _BLOCK)

    def _docker_context(self, name: str) -> None:
        folder = self.folder / "docker" / name
        folder.mkdir()
        (folder / name).hardlink_to(self.program(name))
        text = _DOCKERFILE.replace("{{ base }}", "scratch").replace("{{ vars.program }}", name)
        (folder / "Dockerfile").write_text(text)
