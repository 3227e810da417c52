"""A project of two programs and an image in a git repository, and the program that builds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = """\
schema_version = 1
[project]
name = "tiny"
source = "."
release_hub = "docker.io/tiny"
[stamps]
"main.version" = "${version}"
"main.revision" = "${git.revision}"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
default = "all"
[go]
version = ">=1.20"
[binaries]
app = { package = "./cmd/app" }
tool = { package = "./cmd/tool", platforms = ["linux/amd64"] }
[bases]
static = { kind = "static" }
[images.app]
base = ["static"]
binaries = ["app"]
"""
MAIN = """\
package main

var version, revision string

func main() { println(version, revision, "%s") }
"""
APP, TOOL, IMAGE = "binary/app@linux/amd64", "binary/tool@linux/amd64", "image/app@linux/amd64"


class Tree:
    """A project in a git repository, a user's cache, and the program."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = root / "mesh"
        for name in ("app", "tool"):
            self.write(f"cmd/{name}/main.go", MAIN % name)
        self.write("go.mod", "module example.com/tiny\n\ngo 1.20\n")
        self.write("images/app/Dockerfile.j2", 'FROM {{ base }}\nCOPY app /\nENTRYPOINT ["/app"]\n')
        self.write("targets.toml", PROJECT)
        for words in ("init -q", "add .", "-c user.name=x -c user.email=x@x commit -qm x"):
            subprocess.run(["git", *words.split()], cwd=self.place, check=True)

    def write(self, name: str, text: str) -> Path:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from buildkit.tasks import main; main()", *words]
        env = {**os.environ, "MESHWRIGHT_CACHE": str(self.root / "cache")}
        done = subprocess.run(
            program, cwd=self.place, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    def document(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def units(self, *words: str) -> dict[str, Any]:
        return {unit["id"]: unit for unit in self.document(*words)["units"]}

    def snapshot(self) -> dict[str, tuple[int, int, int]]:
        """Return every file and directory below the root with what a change would move."""
        found = {str(path): path.lstat() for path in (self.root, *self.root.rglob("*"))}
        return {name: (s.st_mtime_ns, s.st_ctime_ns, s.st_size) for name, s in found.items()}
