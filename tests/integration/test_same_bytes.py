"""One commit built twice, with all around it different: every digest is the same."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from buildkit.oci.model import OCI_LAYER_GZIP
from buildkit.platform import Platform
from tests.integration.registry_servers import installed_program, serve

ROOT = Path(__file__).parents[2]
NOBODY = 65534
PLATFORM = Platform("linux", Platform.host().arch)
COMMIT_TIME = 1_700_000_000
HUB = "registry.example/mesh"
"""No loopback address, so that layers are compressed as for any registry of the world."""

TARGETS = """\
schema_version = 1
[project]
name = "twice"
[stamps]
"example.com/twice/build.Revision" = "${git.revision}"
"example.com/twice/build.Version" = "${version}"
[matrix]
platforms = ["{platform}"]
[binaries]
alpha = { package = "./alpha" }
beta = { package = "./beta" }
[bases.static]
kind = "static"
[bases.none]
kind = "scratch"
[images.alpha]
base = ["static"]
binaries = ["alpha"]
files = { "conf" = "conf" }
[images.beta]
base = ["none"]
binaries = ["beta"]
[images.both]
base = ["alpha"]
binaries = ["beta"]
[registry]
insecure = ["registry.example"]
"""
FILES = {
    "targets.toml": TARGETS.replace("{platform}", str(PLATFORM)),
    "go.mod": "module example.com/twice\n\ngo 1.21\n",
    "build/build.go": "package build\n\nvar Revision, Version string\n",
    "alpha/main.go": 'package main\n\nimport "example.com/twice/build"\n\n'
    'func main() { println("alpha", build.Version, build.Revision) }\n',
    "beta/main.go": 'package main\n\nimport "example.com/twice/build"\n\n'
    'func main() { println("beta", build.Version, build.Revision) }\n',
    "conf/settings.json": "{}\n",
    "conf/deep/er/notes": "notes\n",
    "conf/hook": "#!/bin/sh\n",
    "conf/Zweites": "upper case\n",
    "images/alpha/Dockerfile.j2": """\
FROM {{ base }} AS gathered
COPY conf /gathered/
FROM {{ base }}
COPY --from=gathered --chown=1337:1337 /gathered /etc/alpha
COPY alpha /usr/local/bin/
WORKDIR /var/lib/alpha
ENTRYPOINT ["/usr/local/bin/alpha"]
""",
    "images/beta/Dockerfile.j2": """\
FROM {{ base }}
COPY --chmod=755 beta /beta
ENTRYPOINT ["/beta"]
""",
    "images/both/Dockerfile.j2": """\
FROM {{ base }}
COPY beta /usr/local/bin/
""",
}
IMAGES = ("alpha", "beta", "both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Who builds, where and when; none of it may show."""

    folder: Path
    user: int | None
    umask: int
    jobs: int
    seed: int
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    def create(self) -> None:
        """Write and commit the project, in an order and with times of its own."""
        order = random.Random(self.seed)
        for name in order.sample(sorted(FILES), len(FILES)):
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(FILES[name])
            path.chmod(0o666 & ~self.umask)
        (self.tree / "conf/hook").chmod(0o777 & ~self.umask)
        (self.tree / "conf/link").symlink_to("deep/er/notes")
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message=first")
        for path in self.tree.rglob("*"):
            if ".git" not in path.parts:
                os.utime(path, (order.randrange(2**30),) * 2, follow_symlinks=False)
        if self.user is not None:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self.user, self.user, follow_symlinks=False)

    def build(self, port: int) -> dict[str, Any]:
        """Build and push everything to the registry at a port, and return the digests."""
        flags = ("--push", "--no-load", "--engine", "oci", "--stamp", "--json", "--tag", "v1")
        done = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "invoke", "--search-root", str(ROOT), "docker"),
                *(*flags, "--hub", HUB, "--jobs", str(self.jobs)),
            ],
            cwd=self.tree,
            # A registry takes requests to a proxy for those to itself.
            env=self._environ() | {"HTTP_PROXY": f"http://127.0.0.1:{port}"},
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else (),
            umask=self.umask,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {name: pushed(port, name) for name in IMAGES}

    def _environ(self) -> dict[str, str]:
        home = self.folder / "home"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "GOCACHE": str(home / "go-build"),
            "MESHWRIGHT_CACHE": str(home / "cache"),
            **self.environ,
        }

    def _git(self, *words: str) -> None:
        identity = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in {
                "NAME": "ann",
                "EMAIL": "ann@example.com",
                "DATE": f"{COMMIT_TIME} +0000",
            }.items()
        }
        environ = {**os.environ, **identity}
        subprocess.run(["git", *words], cwd=self.tree, env=environ, check=True)


def fetch(port: int, path: str) -> tuple[Any, str]:
    """Return a document of the registry, and the digest that the registry gives it."""
    types = ("index", "manifest")
    accept = ", ".join(f"application/vnd.oci.image.{name}.v1+json" for name in types)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v2/{path}", headers={"Accept": accept}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer), answer.headers["Docker-Content-Digest"]


def pushed(port: int, name: str) -> dict[str, Any]:
    """Return all digests of an image, from the index down to its layers, and its configs."""
    index, digest = fetch(port, f"mesh/{name}/manifests/v1")
    found: dict[str, Any] = {"index": digest}
    for item in index["manifests"]:
        platform = item["platform"]["architecture"]
        manifest, _ = fetch(port, f"mesh/{name}/manifests/{item['digest']}")
        config, _ = fetch(port, f"mesh/{name}/blobs/{manifest['config']['digest']}")
        found[platform] = {
            "manifest": item["digest"],
            "layers": manifest["layers"],
            "config": manifest["config"],
            "content of the config": config,
        }
    return found


def other_user() -> int | None:
    """Return a user who is not this one and can run our tool; None where there is none.

    Only root can become another; and where the checkout or Go is root's alone,
    nobody else can build.
    """
    if os.geteuid() != 0:
        return None
    for command in ([sys.executable, "-P", "-c", "import buildkit.tasks"], ["go", "version"]):
        try:
            subprocess.run(
                command, user=NOBODY, group=NOBODY, check=True, capture_output=True, cwd="/"
            )
        except (OSError, subprocess.CalledProcessError):
            return None
    return NOBODY


@pytest.fixture
def folder() -> Iterator[Path]:
    # Pytest's own directories are for one user.
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.go
@pytest.mark.registry
@pytest.mark.timeout(600)
def test_one_commit_gives_the_same_digests_everywhere(folder: Path) -> None:
    one = Surroundings(
        folder=folder / "one",
        user=None,
        umask=0o022,
        jobs=1,
        seed=1,
        environ={
            "TZ": "UTC",
            "PYTHONHASHSEED": "0",
            "LC_ALL": "C",
            "GOCACHE": os.environ["GOCACHE"],
        },
    )
    two = Surroundings(
        folder=folder / "another place" / "that is much deeper" / "two",
        user=other_user(),
        umask=0o077,
        jobs=4,
        seed=2,
        environ={
            "TZ": "Asia/Kathmandu",
            "PYTHONHASHSEED": "4242",
            "LC_ALL": "C.UTF-8",
            "SOURCE_DATE_EPOCH": str(COMMIT_TIME),
            "GOFLAGS": "-ldflags=-s",
            "GOAMD64": "v3",
        },
    )
    built = []
    for surroundings in (one, two):
        surroundings.create()
        data = folder / f"registry-{surroundings.seed}"
        data.mkdir()
        with serve(installed_program(), data) as port:
            built.append(surroundings.build(port))
    first, second = built
    assert first == second
    image = first["both"][PLATFORM.arch]
    assert {layer["mediaType"] for layer in image["layers"]} == {OCI_LAYER_GZIP}
    assert image["content of the config"]["created"] == "2023-11-14T22:13:20Z"
