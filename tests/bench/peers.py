"""Who is measured: our tool, and those that people use today, each doing the same work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from buildkit.digest import Digest
from buildkit.errors import BuildError
from tests.bench.measure import Job
from tests.bench.workload import Workload

ROOT = Path(__file__).parents[2]
CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.20.6"
KO = "github.com/google/ko@v0.18.0"

_MAIN = """\
package main

import _ "embed"

//go:embed payload
var payload string

func main() { println(len(payload)) }
"""


def install(module: str, folder: Path) -> Path:
    """Return a Go program, installed once into a directory of its version.

    Raises:
        BuildError: it cannot be built.
    """
    path, _, version = module.partition("@")
    place = folder / version
    # The major version that a module's path may end with is no part of the program's name.
    program = place / re.sub(r"/v\d+$", "", path).rpartition("/")[2]
    if not program.exists():
        done = subprocess.run(
            ["go", "install", module],
            env={**os.environ, "GOBIN": str(place), "GOFLAGS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BuildError(f"{module} cannot be installed", details=done.stderr[-2000:])
    return program


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """This tool: one command for all images.

    ``state`` holds its out directory and its user's cache.
    """

    workload: Workload
    state: Path
    load: bool

    def job(self, hub: str) -> Job:
        """Return the whole command."""
        program = (sys.executable, "-P", "-m", "invoke", "--search-root", str(ROOT), "docker")
        flags = (
            *("--targets", str(self.workload.targets), "--out", str(self.state / "out")),
            *("--hub", f"{hub}/ours", "--json", *(() if self.load else ("--no-load",))),
        )
        return Job(
            phases=(((*program, *flags),),),
            folder=self.workload.folder,
            environ={"MESHWRIGHT_CACHE": str(self.state / "cache"), "CI": ""},
        )

    def forget(self) -> None:
        """Remove all that earlier runs left."""
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)

    def check(self, output: str, ran: frozenset[str]) -> None:
        """See that exactly some images were pushed, and the others found to be there.

        Raises:
            BuildError: it did something else.
        """
        units = json.loads(output)["units"]
        pushed = {
            item["name"] for item in units if item["kind"] == "push" and item["status"] == "done"
        }
        if pushed != ran:
            raise BuildError(f"our tool pushed {sorted(pushed)}, not {sorted(ran)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crane:
    """``tar`` and ``crane append``, which pushes what it appended; all images at once.

    With ``stored`` layers it has nothing to compress, as in Istio's own use of its
    library; what it takes to make these of plain tars is left out.
    """

    workload: Workload
    program: Path
    stored: bool

    def job(self, hub: str, changed: Iterable[str]) -> Job:
        """Return the commands: tars of the programs that changed, then images of all."""
        tars = tuple(
            (
                *("tar", "--create", "--file", str(self.workload.tar(name))),
                *("--directory", str(self.workload.root(name)), self.workload.inside(name)),
            )
            for name in changed
        )
        appends = tuple(
            (
                *(str(self.program), "append", "--insecure", "--new_tag", self._tag(hub, name)),
                *("--new_layer", str(self.workload.tar(name, stored=self.stored))),
            )
            for name in self.workload.names
        )
        return Job(phases=(tars, appends), folder=self.workload.folder)

    def check(self, hub: str) -> None:
        """See that the registry has one layer per image that holds its program.

        Raises:
            BuildError: it has something else.
        """
        for name in self.workload.names:
            if self._exported(hub, name) != Digest.of_file(self.workload.program(name)):
                raise BuildError(f"crane did not push {name}")

    def _exported(self, hub: str, name: str) -> Digest | None:
        """Return the digest of the program that an image in the registry holds."""
        command = (str(self.program), "export", "--insecure", self._tag(hub, name), "-")
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE) as child,
            tarfile.open(fileobj=child.stdout, mode="r|") as archive,
        ):
            for member in archive:
                content = archive.extractfile(member)
                if content is not None and member.name.endswith(f"/{name}"):
                    return Digest.of_stream(cast("BufferedIOBase", content))
        return None

    def _tag(self, hub: str, name: str) -> str:
        return f"{hub}/crane{'-stored' if self.stored else ''}/{name}:latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """``docker build`` by the daemon and ``docker push``, all images at once."""

    workload: Workload

    def job(self, hub: str, *, cached: bool) -> Job:
        """Return the commands; without ``cached`` the daemon builds anew."""
        flags = () if cached else ("--no-cache",)
        tags = {name: f"{hub}/docker/{name}:latest" for name in self.workload.names}
        builds = tuple(
            ("docker", "build", "--quiet", *flags, "--tag", tag, f"docker/{name}")
            for name, tag in tags.items()
        )
        pushes = tuple(("docker", "push", "--quiet", tag) for tag in tags.values())
        return Job(
            phases=(builds, pushes),
            folder=self.workload.folder,
            environ={"DOCKER_BUILDKIT": "0"},
        )

    def forget(self, hub: str) -> None:
        """Remove what the daemon has of a hub."""
        tags = [f"{hub}/docker/{name}:latest" for name in self.workload.names]
        tags += [f"{hub}/ours/{name}:latest" for name in self.workload.names]
        subprocess.run(["docker", "rmi", "--force", *tags], capture_output=True, check=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ko:
    """``ko build`` of programs as large, which embed the others' files."""

    workload: Workload
    program: Path
    folder: Path

    def prepare(self) -> None:
        """Write the Go module."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in self.workload.names:
            command = self.folder / "cmd" / name
            command.mkdir(parents=True)
            (command / "main.go").write_text(_MAIN)
            (command / "payload").hardlink_to(self.workload.program(name))
        (self.folder / "go.mod").write_text("module example.com/bench\n\ngo 1.24\n")

    def job(self, hub: str) -> Job:
        """Return the command; its base is whatever crane appended first."""
        commands = (f"./cmd/{name}" for name in self.workload.names)
        return Job(
            phases=(((str(self.program), "build", "--sbom=none", *commands),),),
            folder=self.folder,
            environ={
                "KO_DOCKER_REPO": f"{hub}/ko",
                "KO_DEFAULTBASEIMAGE": f"{hub}/ours/one:latest",
                "KOCACHE": str(self.folder / "cache"),
                "GOFLAGS": "-buildvcs=false",
            },
        )
