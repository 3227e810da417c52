from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from buildkit.adopt.findings import read_tree
from buildkit.adopt.golist import Package
from buildkit.adopt.model import FileValue, VersionRule

MAKE = """\
BASE_VERSION ?= b1
STANDARD_BINARIES:=./cmd/ctl
AGENT_BINARIES:=./cmd/agent
build:
\tgobuild.sh out/ -tags=fast $(STANDARD_BINARIES)
\tgobuild.sh out/ -tags=agent $(AGENT_BINARIES)
"""
PLAN = """\
images:
- name: agent
  dockerfile: docker/Dockerfile.agent
  targets:
  - ${TARGET_OUT_LINUX}/agent
"""
DOCKERFILE = """\
ARG BASE_DISTRIBUTION=debug
ARG BASE_VERSION
FROM x:${BASE_VERSION} AS debug
FROM ${BASE_DISTRIBUTION:-debug}
COPY amd64/agent /
"""
VERSION = 'package version\n\nvar (\n\tbuildVersion = ""\n\tbuildHub = ""\n)\n'
MODULE = "module example.com/mesh/v2\n\ngo 1.26\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in {
        "go.mod": MODULE,
        "pkg/version/version.go": VERSION,
        "docker/Dockerfile.agent": DOCKERFILE,
        "inner/go.mod": "module x\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def listings(tree: Path) -> Mapping[str, tuple[Package, ...]]:
    paths = {"cmd/agent": "main", "cmd/ctl": "main", "cmd/gen": "main", "pkg/version": "version"}
    packages = tuple(
        Package(import_path=f"example.com/mesh/v2/{path}", name=name, dir=str(tree / path))
        for path, name in paths.items()
    )
    return {"linux": packages, "darwin": packages}


def test_any_tree_gives_its_programs_images_and_candidates(tree: Path) -> None:
    found = read_tree(tree, listings(tree))
    assert (found.name, found.module, found.go) == ("mesh", "example.com/mesh/v2", "1.26")
    assert [item.name for item in found.binaries] == ["agent", "ctl", "gen"]
    assert [(item.name, item.left_out) for item in found.images] == [("agent", "")]
    assert (found.args, found.variants, found.groups, found.tags) == ({}, {}, {}, ())
    assert found.version == VersionRule()
    stamps = {item.variable.rpartition(".")[2]: item.text for item in found.stamps}
    # Nothing says which hub it is.
    assert stamps == {"buildVersion": "${version}", "buildHub": ""}
    argument, modules = found.undecided
    assert argument.startswith("docker/Dockerfile.agent has no default for ARG BASE_VERSION")
    assert modules == "modules of their own below the tree are not looked into: inner"


def test_a_tree_of_istio_s_shape_is_what_its_files_say(tree: Path) -> None:
    (tree / "Makefile.core.mk").write_text(MAKE)
    (tree / "tools").mkdir()
    (tree / "tools" / "docker.yaml").write_text(PLAN)
    found = read_tree(tree, listings(tree))
    assert [item.name for item in found.binaries if not item.left_out] == ["agent", "ctl"]
    assert (found.tags, found.groups) == (("fast",), {"agent": ("agent",)})
    assert found.args == {
        "BASE_VERSION": FileValue(file="Makefile.core.mk", line=r"BASE_VERSION \?= (\S+)")
    }
    assert list(found.variants) == ["default", "debug", "distroless"]
    assert found.ldflags == ("-extldflags=-static",)


def test_a_tree_without_a_program_says_so(tree: Path) -> None:
    found = read_tree(tree, {"linux": (), "darwin": ()})
    assert found.binaries == ()
    assert "example.com/mesh/v2 has no main package that could be built" in found.undecided
