"""An image on a base of a registry, from the lock to the push: what is read, moved and mounted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from buildkit.digest import Digest
from buildkit.oci.model import OCI_LAYER_GZIP
from tests.fakes.damages import DAMAGES
from tests.fakes.registry import FakeRegistry
from tests.integration import conftest
from tests.integration.registry_bases import packed_layer, push_base

pytestmark = pytest.mark.go

TARGETS = """\
schema_version = 1
[project]
name = "app"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
[bases.os]
kind = "registry"
reference = "registry.test/os/base:12"
[images.app]
base = ["os"]
files = {{ "notes" = "notes" }}
[mirrors]
"registry.test" = "{host}/copies"
"registry.test/other" = "nobody.test"
"""
DOCKERFILE = "FROM {{ base }}\nCOPY notes /etc/notes\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project whose only base is in a registry that has a mirror."""

    folder: Path
    environ: dict[str, str]
    registry: FakeRegistry
    layer: Digest

    def invoke(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from buildkit.tasks import main; main()", *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    def push(self) -> dict[str, Any]:
        hub = f"{self.registry.host}/team"
        flags = ("--hub", hub, "--engine", "oci", "--no-load", "--json")
        document: dict[str, Any] = json.loads(self.invoke("docker", *flags).stdout)
        return document

    def moved(self) -> dict[str, int]:
        """Count what became of the base's layer since the last time, and begin anew."""
        wanted = {
            "read": f"GET .*/blobs/{self.layer}",
            "mounted": f"POST /v2/team/app/blobs/uploads/.*mount=.*{self.layer.hex}",
            "sent": f"PUT /v2/team/app/blobs/uploads/.*{self.layer.hex}",
        }
        found = {word: self.registry.count(pattern) for word, pattern in wanted.items()}
        self.registry.seen.clear()
        return found


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    plain, packed = packed_layer()
    (tmp_path / "images/app").mkdir(parents=True)
    (tmp_path / "images/app/Dockerfile.j2").write_text(DOCKERFILE)
    (tmp_path / "notes").write_text("first")
    (tmp_path / "go.mod").write_text("module example.com/app\n\ngo 1.24\n")
    with FakeRegistry() as registry:
        push_base(f"{registry.host}/copies/os/base:12", plain, packed)
        registry.seen.clear()
        (tmp_path / "targets.toml").write_text(TARGETS.format(host=registry.host))
        settings = conftest.outside_settings()
        # A daemon has no part in this.
        environ = {**settings, "DOCKER_HOST": "unix:///nowhere", "HOME": str(tmp_path / "home")}
        environ |= {"PATH": os.environ["PATH"], "MESHWRIGHT_CACHE": str(tmp_path / "cache")}
        yield Project(
            folder=tmp_path,
            environ=environ,
            registry=registry,
            layer=Digest.of_bytes(packed),
        )


def test_a_base_is_pinned_and_read_at_its_mirror_and_mounted_where_it_is(project: Project) -> None:
    project.invoke("lock", "--only", "os")
    lock = (project.folder / "targets.lock").read_text()
    held = project.registry.look("copies/os/base")
    listing = json.loads(held.manifests[held.tags["12"]][1])
    digests = {item["platform"]["architecture"]: item["digest"] for item in listing["manifests"]}
    assert all(digest in lock for digest in digests.values())
    assert project.registry.host not in lock
    assert project.moved()["read"] == 0

    hub = ("--hub", f"{project.registry.host}/team")
    note = f"read from the mirror {project.registry.host}/copies/os/base, not registry.test/os/base"
    assert note in project.invoke("plan", *hub).stdout
    assert project.moved() == {"read": 0, "mounted": 0, "sent": 0}

    project.push()
    # The list of the base's files says what COPY finds there; its bytes stay in the registry.
    assert project.moved() == {"read": 1, "mounted": 1, "sent": 0}
    config = newest_config(project.registry)
    assert config["Labels"]["org.opencontainers.image.base.name"] == "registry.test/os/base:12"
    assert config["Labels"]["org.opencontainers.image.base.digest"] in digests.values()

    project.push()
    assert project.moved() == {"read": 0, "mounted": 0, "sent": 0}

    (project.folder / "notes").write_text("second")
    project.push()
    moved = project.moved()
    assert (moved["read"], moved["sent"]) == (0, 0)

    # What is known of the pulled base is damaged, and the base read again.
    sheets = project.folder / "cache" / "sheets"
    before = {path.name: path.read_bytes() for path in sheets.iterdir()}
    for how in ("emptied", "a directory"):
        for path in sheets.iterdir():
            DAMAGES[how](path)
        (project.folder / "notes").write_text(how)
        project.push()
        assert {path.name: path.read_bytes() for path in sheets.iterdir()} == before


def newest_config(registry: FakeRegistry) -> dict[str, Any]:
    """Return how the tag's first image starts."""
    held = registry.look("team/app")
    index = json.loads(held.manifests[held.tags["latest"]][1])
    manifest = json.loads(held.manifests[index["manifests"][0]["digest"]][1])
    assert manifest["layers"][0]["mediaType"] == OCI_LAYER_GZIP
    config: dict[str, Any] = json.loads(held.blobs[manifest["config"]["digest"]])["config"]
    return config
