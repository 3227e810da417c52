"""Dockerfiles of a source tree as they are: lock, tags, variants, and each engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from buildkit.images.daemon import connect
from tests.fakes.registry import FakeRegistry
from tests.golden.buildkit import PINNED
from tests.integration import conftest
from tests.integration.leftovers import remove_named
from tests.integration.registry_bases import packed_layer, push_base

pytestmark = pytest.mark.go

TARGETS = """\
schema_version = 1
[project]
name = "source-dockerfiles"
source = "tree"
[version]
fallback = "1.2.3"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
default = "all"
[binaries]
server = {{ package = "./cmd/server" }}
[args]
BASE_VERSION = {{ file = "Makefile", line = 'BASE_VERSION \\?= (\\S+)' }}
server_version = "v${{version}}"
[variants.default]
suffix = ""
[variants.debug]
args = {{ BASE_DISTRIBUTION = "debug" }}
[variants.distroless]
args = {{ BASE_DISTRIBUTION = "distroless" }}
[images.server]
dockerfile = "${{source}}/docker/Dockerfile.server"
files = {{ "conf.yaml" = "${{source}}/docker/server.yaml" }}
[mirrors]
"release.test/mesh" = "{host}/copies"
"""
DOCKERFILE = """\
ARG BASE_DISTRIBUTION=debug
ARG BASE_VERSION=latest
ARG BASE_REGISTRY=release.test/mesh
FROM ${BASE_REGISTRY}/base:${BASE_VERSION} AS debug
FROM ${BASE_REGISTRY}/plain:${BASE_VERSION} AS distroless
FROM ${BASE_DISTRIBUTION:-debug}
ARG TARGETARCH
ARG server_version
COPY ${TARGETARCH:-amd64}/server /usr/local/bin/server
COPY conf.yaml /etc/server/
ENV SERVER_VERSION=$server_version
ENTRYPOINT ["/usr/local/bin/server"]
"""
MAIN = """\
package main

import "os"

func main() {
	if os.WriteFile("/made", nil, 0o644) != nil {
		os.Exit(1)
	}
}
"""


class Tree:
    """A tree with a Dockerfile, a targets file beside it, and registries of this machine."""

    def __init__(self, folder: Path, registry: FakeRegistry) -> None:
        self.folder = folder
        self.registry = registry
        self.environ = {
            **conftest.outside_settings(),
            "HOME": str(folder / "home"),
            "PATH": os.environ["PATH"],
            "MESHWRIGHT_CACHE": str(folder / "cache"),
        }
        self.write("tree/go.mod", "module example.com/server\n\ngo 1.24\n")
        self.write("tree/cmd/server/main.go", MAIN)
        self.write("tree/docker/server.yaml", "port: 80\n")
        self.write("tree/docker/Dockerfile.server", DOCKERFILE)
        self.write("tree/Makefile", "BASE_VERSION ?= 1.0\n")
        self.write("targets.toml", TARGETS.format(host=registry.host))
        for name in ("base", "plain"):
            push_base(f"{registry.host}/copies/{name}:1.0", *packed_layer())

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from buildkit.tasks import main; main()", *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def invoke(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def lock(self) -> None:
        self.invoke("lock", "--only", "server")

    def push(self, *words: str) -> dict[str, str]:
        """Build and push, and return what each unit came out as."""
        flags = ("--hub", f"{self.registry.host}/team", "--no-load", *words)
        return {item["id"]: item["status"] for item in self.invoke("docker", *flags)["units"]}

    def tags(self) -> dict[str, str]:
        return dict(self.registry.look("team/server").tags)

    def config(self, tag: str, architecture: str, name: str = "server") -> dict[str, Any]:
        held = self.registry.look(f"team/{name}")
        for entry in json.loads(held.manifests[held.tags[tag]][1])["manifests"]:
            if entry["platform"]["architecture"] == architecture:
                manifest = json.loads(held.manifests[entry["digest"]][1])
                config: dict[str, Any] = json.loads(held.blobs[manifest["config"]["digest"]])
                return config
        raise KeyError(architecture)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with FakeRegistry() as registry:
        yield Tree(tmp_path, registry)


def test_every_variant_and_platform_comes_from_the_file_as_it_is(tree: Tree) -> None:
    before = {path: path.read_bytes() for path in (tree.folder / "tree").rglob("*.*")}
    tree.lock()
    made = tree.push("--engine", "oci", "--variant", "all")
    assert {item for item in made if item.startswith("image/")} == {
        "image/server@linux/amd64",
        "image/server@linux/arm64",
        "image/server:distroless@linux/amd64",
        "image/server:distroless@linux/arm64",
    }
    tags = tree.tags()
    assert set(tags) == {"latest", "latest-debug", "latest-distroless"}
    assert tags["latest"] == tags["latest-debug"] != tags["latest-distroless"]
    config = tree.config("latest", "arm64")["config"]
    assert "SERVER_VERSION=v1.2.3" in config["Env"]
    assert config["Entrypoint"] == ["/usr/local/bin/server"]
    base = "org.opencontainers.image.base.name"
    assert config["Labels"][base] == "release.test/mesh/base:1.0"
    plain = tree.config("latest-distroless", "amd64")["config"]
    assert plain["Labels"][base] == "release.test/mesh/plain:1.0"

    again = tree.push("--engine", "oci", "--variant", "all")
    assert set(again.values()) == {"cached"}
    assert {path: path.read_bytes() for path in before} == before


def test_another_base_of_the_tree_is_out_of_date_until_it_is_locked(tree: Tree) -> None:
    tree.lock()
    tree.push("--engine", "oci")
    first = tree.tags()["latest"]
    tree.write("tree/Makefile", "BASE_VERSION ?= 2.0\n")
    done = tree.run("docker", "--hub", f"{tree.registry.host}/team", "--no-load")
    assert done.returncode != 0
    assert "release.test/mesh/base:2.0: its digest is not locked, run `invoke lock`" in done.stderr
    assert tree.tags()["latest"] == first
    for name in ("base", "plain"):
        push_base(f"{tree.registry.host}/copies/{name}:2.0", *packed_layer())
    tree.lock()
    tree.push("--engine", "oci")
    assert tree.tags()["latest"] != first
    lock = (tree.folder / "targets.lock").read_text()
    assert "base:2.0" in lock
    assert "base:1.0" not in lock


@pytest.mark.network
def test_a_base_that_cannot_be_had_is_told_and_the_others_are_locked(tree: Tree) -> None:
    tree.write("tree/Makefile", "BASE_VERSION ?= 2.0\n")
    push_base(f"{tree.registry.host}/copies/base:2.0", *packed_layer())
    refused = tree.run("lock", "--only", "server")
    assert refused.returncode == 7
    assert not (tree.folder / "targets.lock").exists()
    done = tree.run("lock")
    assert done.returncode == 0, done.stderr
    assert "warning: release.test/mesh/plain:2.0: it stays without a pin" in done.stderr
    lock = (tree.folder / "targets.lock").read_text()
    assert '[registry."release.test/mesh/base:2.0"]' in lock
    assert "plain" not in lock


def test_istios_names_in_the_environment_choose_base_and_variants(tree: Tree) -> None:
    for name in ("base", "plain"):
        push_base(f"{tree.registry.host}/copies/{name}:9", *packed_layer())
    tree.environ |= {"BASE_VERSION": "9", "DOCKER_BUILD_VARIANTS": "distroless"}
    tree.environ |= {"INCLUDE_UNTAGGED_DEFAULT": "true"}
    tree.lock()
    plan = tree.run("plan", "--hub", f"{tree.registry.host}/team")
    assert plan.returncode == 0, plan.stderr
    for shown in (
        "variants   default, distroless (DOCKER_BUILD_VARIANTS in the environment, INCLUDE_",
        "BASE_VERSION in the environment: args.BASE_VERSION",
        "base/release.test/mesh/plain:9@linux/arm64",
    ):
        assert shown in plan.stdout
    tree.push("--engine", "oci")
    assert set(tree.tags()) == {"latest", "latest-distroless"}


def test_an_image_of_the_tree_takes_the_place_of_a_base_that_cannot_be_reached(tree: Tree) -> None:
    tree.write("tree/docker/Dockerfile.base", "FROM static\nCOPY server.yaml /etc/base.yaml\n")
    more = """\
    [bases.static]
    kind = "static"
    [images.base]
    dockerfile = "${source}/docker/Dockerfile.base"
    files = { "server.yaml" = "${source}/docker/server.yaml" }
    replaces = ["nowhere.test/mesh/base"]
    """
    before = (tree.folder / "targets.toml").read_text()
    tree.write("targets.toml", before.replace("[mirrors]", f"{more}[mirrors]"))
    tree.environ["ISTIO_BASE_REGISTRY"] = "nowhere.test/mesh"
    dockerfile = DOCKERFILE.replace("BASE_REGISTRY", "ISTIO_BASE_REGISTRY")
    tree.write("tree/docker/Dockerfile.server", dockerfile)
    made = tree.push("--engine", "oci")
    assert {"image/base@linux/arm64", "image/server@linux/arm64"} <= set(made)
    own = tree.config("latest", "arm64", "base")["rootfs"]["diff_ids"]
    assert tree.config("latest", "arm64")["rootfs"]["diff_ids"][: len(own)] == own


def test_a_stage_in_the_middle_can_be_the_image(tree: Tree) -> None:
    text = f"{DOCKERFILE.replace('-debug}', '-debug} AS image')}FROM nowhere.test/x\nRUN make\n"
    tree.write("tree/docker/Dockerfile.server", text)
    before = (tree.folder / "targets.toml").read_text()
    tree.write("targets.toml", before.replace("dockerfile =", 'target = "image"\ndockerfile ='))
    tree.lock()
    tree.push("--engine", "oci")
    config = tree.config("latest", "amd64")["config"]
    assert config["Entrypoint"] == ["/usr/local/bin/server"]
    assert config["Labels"]["org.opencontainers.image.title"] == "server"


def test_a_base_of_one_platform_is_pinned_for_that_one(tree: Tree) -> None:
    held = tree.registry.look("copies/base")
    children = json.loads(held.manifests[held.tags["1.0"]][1])["manifests"]
    (held.tags["1.0"],) = (
        item["digest"] for item in children if item["platform"]["architecture"] == "arm64"
    )
    locked = tree.run("lock", "--only", "server")
    assert locked.returncode == 0
    missing = "release.test/mesh/base:1.0 does not exist for linux/amd64; it does for linux/arm64"
    assert missing in locked.stderr
    tree.push("--engine", "oci", "--platform", "linux/arm64")
    plan = tree.run("plan", "--hub", f"{tree.registry.host}/team", "--platform", "linux/amd64")
    assert "is not locked for linux/amd64, but for linux/arm64, run" in plan.stderr + plan.stdout


def test_what_it_copies_and_nobody_has_is_told_by_line_and_nothing_starts(tree: Tree) -> None:
    tree.write("tree/docker/Dockerfile.server", DOCKERFILE.replace("}/server ", "}/sever "))
    tree.lock()
    done = tree.run("docker", "--hub", f"{tree.registry.host}/team", "--no-load")
    assert done.returncode == 3
    assert "docker/Dockerfile.server, line 9: amd64/sever is neither a binary" in done.stderr
    assert "Did you mean amd64/server?" in done.stderr
    assert not list((tree.folder / "out").rglob("server"))


def native(tree: Tree, extra: str) -> dict[str, Any]:
    """Build for the daemon's own platform with one more line, and return the image's config."""
    tree.write("tree/docker/Dockerfile.server", DOCKERFILE + extra)
    tree.lock()
    with closing(connect(os.environ)) as client:
        architecture = str(client.version()["Arch"])
        try:
            tree.push("--platform", f"linux/{architecture}")
        finally:
            remove_named(client, "source-dockerfiles")
            remove_named(client, "release-test-mesh")
    return tree.config("latest", architecture)


@pytest.mark.docker
def test_what_runs_something_is_built_by_the_daemon_on_the_pinned_base(tree: Tree) -> None:
    config = native(tree, 'RUN ["/usr/local/bin/server"]\nUSER 7\n')
    assert config["config"]["User"] == "7"
    assert len(config["rootfs"]["diff_ids"]) == 4


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.network
def test_what_needs_buildkit_is_built_by_buildx_or_refused_by_line(tree: Tree) -> None:
    mount = 'RUN --mount=type=cache,target=/cache ["/usr/local/bin/server"]\nUSER 7\n'
    tree.write("tree/docker/Dockerfile.server", DOCKERFILE + mount)
    tree.environ["DOCKER_CONFIG"] = str(tree.folder / "docker")
    tree.lock()
    flags = ("--hub", f"{tree.registry.host}/team", "--no-load", "--platform", "native")
    refused = tree.run("docker", *flags)
    assert refused.returncode == 3
    assert "Dockerfile.server, line 13: RUN --mount needs BuildKit" in refused.stderr
    assert "has no buildx" in refused.stderr

    plugins = tree.folder / "docker" / "cli-plugins"
    subprocess.run(
        ["go", "install", f"github.com/docker/buildx/cmd/buildx@{PINNED}"],
        env={**os.environ, "GOBIN": str(plugins)},
        check=True,
    )
    (plugins / "buildx").rename(plugins / "docker-buildx")
    assert native(tree, mount)["config"]["User"] == "7"
