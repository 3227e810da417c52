"""The files that this project ships for its users are right and current."""

from __future__ import annotations

import json
from pathlib import Path

from buildkit.config.load import load_project
from buildkit.config.schema import json_schema

ROOT = Path(__file__).parents[3]


def test_the_default_project_is_valid_and_wholly_pinned() -> None:
    project = load_project(ROOT / "targets.toml")
    assert len(project.config.binaries) == 12
    by_name_alone = {n for n, image in project.config.images.items() if not image.default}
    assert by_name_alone == {"app_sidecar_debian_11", "app_sidecar_debian_12"}
    assert len(project.config.images) == 7 + len(by_name_alone)
    assert set(project.lock.fetch["envoy"]) == {"linux/amd64", "linux/arm64", "darwin/arm64"}
    assert set(project.lock.debian["debian"]) == {"amd64", "arm64"}
    assert project.lock.go is not None
    assert len(project.lock.go.sums) == 4
    assert "registry" in project.lock.tools


def test_the_sidecars_add_images_of_other_distributions_and_need_no_other_pins() -> None:
    project = load_project(ROOT / "examples" / "sidecars.toml")
    systems = {name for name in project.config.images if name.startswith("app_sidecar_")}
    debian = {"debian_11", "debian_12"}
    ubuntu = {"ubuntu_xenial", "ubuntu_jammy", "ubuntu_noble"}
    assert systems == {f"app_sidecar_{n}" for n in debian | ubuntu | {"centos_7", "rockylinux_9"}}
    lock = load_project(ROOT / "targets.toml").lock
    assert project.lock.fetch == lock.fetch
    assert project.lock.go == lock.go


def test_the_schema_that_editors_complete_from_is_the_types_own() -> None:
    shipped = (ROOT / "docs" / "targets.schema.json").read_text(encoding="utf-8")
    current = json.loads(json.dumps(json_schema()))
    assert json.loads(shipped) == current, "run `invoke schema > docs/targets.schema.json`"
