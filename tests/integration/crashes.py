"""A small project that is built with all kinds of results, and what may happen meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buildkit.config.lock import FilePin, Lock, save_lock
from buildkit.digest import Digest
from buildkit.images.sheet import read_sheet
from buildkit.platform import Platform
from tests.fakes.layouts import validate_layout
from tests.integration import conftest, tiny

ROOT = Path(__file__).parents[2]
PLATFORM = Platform("linux", Platform.host().arch)
SLUG = PLATFORM.slug
IMAGES = ("alpha", "both")
TOOL = tiny.x86_64(b"tool") if PLATFORM.arch == "amd64" else tiny.aarch64(b"tool")
FETCHED = TOOL + bytes(range(256)) * 4096
"""What ``tool`` is: a program, and enough after it that it comes in several pieces."""
FETCHED_PATH = "/tool-1.0"
TIMEOUT_SECONDS = 120

_TARGETS = """\
schema_version = 1
[project]
name = "crash"
release_hub = "example.com/crash"
[stamps]
"main.version" = "${version}"
[matrix]
platforms = ["PLATFORM"]
[binaries]
alpha = { package = "./alpha" }
beta = { package = "./beta" }
[fetch.tool]
version = "1.0"
[[fetch.tool.source]]
platforms = ["PLATFORM"]
url = "FILES/tool-${version}"
[bases.static]
kind = "static"
[images.alpha]
base = ["static"]
binaries = ["alpha", "tool"]
files = { "words" = "words" }
[images.both]
base = ["static"]
binaries = ["alpha", "beta"]
"""
_PROGRAM = "package main\n\nvar version string\n\nfunc main() { println(`%s`, version) }\n"
_FILES = {
    "go.mod": "module example.com/crash\n\ngo 1.21\n",
    "VERSION": "1.2.3\n",
    "alpha/main.go": _PROGRAM % "alpha",
    "beta/main.go": _PROGRAM % "beta",
    "words/one": "one\n",
    "words/more/two": "two\n",
    "images/alpha/Dockerfile.j2": "FROM {{ base }}\nCOPY words /etc/words/\n"
    'COPY --chmod=755 alpha tool /usr/local/bin/\nENTRYPOINT ["/usr/local/bin/alpha"]\n',
    "images/both/Dockerfile.j2": "FROM {{ base }}\nCOPY alpha /usr/local/bin/\n"
    'COPY beta /usr/local/bin/\nENTRYPOINT ["/usr/local/bin/beta"]\n',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A moment: before the nth event of a kind whose text matches, or some seconds later."""

    event: str
    pattern: str
    nth: int = 1
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run of the tool."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def statuses(self) -> dict[str, str]:
        return {unit["id"]: unit["status"] for unit in json.loads(self.stdout)["units"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A tree, its user's cache, and the registry that its images go to.

    Attributes:
        root: for the tree and the cache.
        port: where a registry answers.
        files: the address that the fetched binary comes from.
        name: of the hub in that registry.
        flags: how the images are asked for.
    """

    root: Path
    port: int
    files: str
    name: str
    flags: tuple[str, ...] = ("--layout", "--no-load")
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    @property
    def out(self) -> Path:
        return self.tree / "out"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def hub(self) -> str:
        return f"127.0.0.1:{self.port}/{self.name}"

    def create(self) -> World:
        texts = {**_FILES, "targets.toml": _TARGETS}
        for name, text in texts.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("PLATFORM", str(PLATFORM)).replace("FILES", self.files))
        pin = FilePin(
            source=f"url:{self.files}/tool-${{version}}",
            file="tool-1.0",
            sha256=hashlib.sha256(FETCHED).hexdigest(),
            version="1.0",
        )
        save_lock(self.tree / "targets.lock", Lock(fetch={"tool": {str(PLATFORM): (pin,)}}))
        return self

    def run(self) -> Ended:
        return self._run([sys.executable, "-P", "-m", "invoke", *self._words()])

    def run_killed(self, kill: Kill) -> None:
        done = self._run([*self._killing(kill), *self._words()])
        assert done.returncode == -9, ("it came to its end", kill, done)

    def start_killable(self) -> subprocess.Popen[bytes]:
        """Start a run that notes what it syncs, and that the caller is to kill."""
        never = Kill(event="never", pattern="")
        return subprocess.Popen(
            [*self._killing(never), *self._words()],
            cwd=self.tree,
            env=self._environ(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _killing(self, kill: Kill) -> list[str]:
        words = (self.root / "notes", kill.event, kill.pattern, kill.nth, kill.delay)
        return [sys.executable, "-P", str(ROOT / "tests/integration/killing.py"), *map(str, words)]

    def _words(self) -> list[str]:
        search = ("--search-root", str(ROOT))
        return [*search, "build", "docker", "--json", "--hub", self.hub, *self.flags]

    def _environ(self) -> dict[str, str]:
        return {
            **conftest.outside_settings(),
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "MESHWRIGHT_CACHE": str(self.cache),
            **self.environ,
        }

    def _run(self, argv: list[str]) -> Ended:
        done = subprocess.run(
            argv,
            cwd=self.tree,
            env=self._environ(),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
        return Ended(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def kept_files(self) -> Iterator[Path]:
        """Yield every file of the records, the outputs and the cache.

        What a child of the killed run removes meanwhile, such as Go's scratch, is left out.
        """
        for top in (self.out, self.cache):
            for folder, _, names in os.walk(top):
                paths = (Path(folder, name) for name in sorted(names))
                yield from (path for path in paths if path.is_file())

    def snapshot(self) -> frozenset[tuple[int, int]]:
        """Return what identifies every file as it is now."""
        found = set()
        for path in self.kept_files():
            # A compiler outlives who started it for a moment, and then removes what it wrote.
            with suppress(FileNotFoundError):
                seen = path.lstat()
                found.add((seen.st_ino, seen.st_mtime_ns))
        return frozenset(found)

    def cut_power(self, before: frozenset[tuple[int, int]]) -> list[Path]:
        """Take the content of what was written since, and not synced; return what it was.

        As journaling file systems leave it: empty, cut off, or with zeros.
        """
        notes = self.root / "notes"
        synced = frozenset(notes.read_text().split()) if notes.exists() else frozenset()
        lost: list[Path] = []
        for path in sorted(self.kept_files()):
            # See snapshot.
            with suppress(FileNotFoundError):
                found = path.lstat()
                is_old = (found.st_ino, found.st_mtime_ns) in before
                if path.is_symlink() or is_old or f"{found.st_dev}:{found.st_ino}" in synced:
                    continue
                half = found.st_size // 2
                left = (b"", path.read_bytes()[:half], bytes(found.st_size))
                path.write_bytes(left[len(lost) % len(left)])
                lost.append(path)
        return lost

    def result(self) -> dict[str, Any]:
        """Return everything that a run is asked for, by digest, hub and port left out."""
        folder = self.out / SLUG
        binaries = sorted(path for path in folder.iterdir() if path.is_file())
        sheets = {name: self.out / f".buildkit/images/{SLUG}/{name}.json" for name in IMAGES}
        return {
            "binaries": {path.name: digest_mode(path) for path in binaries},
            "link": str((folder / "release/tool").readlink()),
            "images": {name: str(read_sheet(path).id) for name, path in sheets.items()},
            "registry": {name: pulled(self.port, f"{self.name}/{name}") for name in IMAGES},
            "layout": self._layout() if "--layout" in self.flags else {},
        }

    def _layout(self) -> dict[str, str]:
        folder = self.out / "oci"
        validate_layout(folder)
        index = (folder / "index.json").read_text().replace(self.hub, "HUB")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found = {str(path.relative_to(folder)): str(Digest.of_file(path)) for path in files}
        return {**found, "index.json": index}

    def remains(self) -> list[str]:
        """Return what a killed run left and no other one removed, below the outputs."""
        scratch = self.out / ".buildkit/tmp"
        found = {path for path in self.out.rglob(".*.tmp") if path.is_file()}
        found |= set(scratch.rglob("*")) if scratch.exists() else set()
        return sorted(str(path.relative_to(self.out)) for path in found)


def digest_mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o} {Digest.of_file(path)}"


def ask(port: int, path: str) -> bytes:
    kinds = ("index", "manifest")
    accept = ", ".join(f"application/vnd.oci.image.{name}.v1+json" for name in kinds)
    url = f"http://127.0.0.1:{port}/v2/{path}"
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        data: bytes = answer.read()
    return data


def pulled(port: int, repository: str) -> list[str]:
    """Return the digests of all of an image, which a registry must give as they say."""
    root = ask(port, f"{repository}/manifests/latest")
    found = [str(Digest.of_bytes(root))]
    for item in json.loads(root)["manifests"]:
        manifest = ask(port, f"{repository}/manifests/{item['digest']}")
        parts = json.loads(manifest)
        blobs = [part["digest"] for part in (parts["config"], *parts["layers"])]
        assert str(Digest.of_bytes(manifest)) == item["digest"]
        for digest in blobs:
            assert str(Digest.of_bytes(ask(port, f"{repository}/blobs/{digest}"))) == digest
        found += [item["digest"], *blobs]
    return found


def kind_of(path: Path, world: World) -> str:
    """Return what kind of file one is: its place without digests, names and platforms."""
    place = str(path.relative_to(world.tree if world.tree in path.parents else world.root))
    place = re.sub(r"[^/]+\.lock$", "NAME.lock", place)
    place = re.sub(rf"images/{SLUG}/\w+", "images/NAME", place)
    place = re.sub(rf"listings/\w+-{SLUG}", "listings/NAME", place)
    return re.sub(r"(/[0-9a-f]{2})?/[0-9a-f]{64}", "/#", place)
