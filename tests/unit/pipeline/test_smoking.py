"""What `invoke smoke` needs before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.errors import EnvironmentMissingError, RegistryError, UsageError
from buildkit.pipeline.smoking import run_smoke
from buildkit.plan.options import Options
from tests.fakes.registry import FakeRegistry, Fault

PROJECT = """\
schema_version = 1
[project]
name = "tiny"
release_hub = "docker.io/tiny"
[matrix]
platforms = ["linux/amd64"]
[binaries]
app = { package = "./app" }
[bases.static]
kind = "static"
[images.app]
base = ["static"]
binaries = ["app"]
"""
SMOKE = """\
[smoke.containers.server]
image = "app"
port = 8080
ready = "/"
"""


def options(tmp_path: Path, text: str, hub: str = "localhost:1") -> Options:
    (tmp_path / "images" / "app").mkdir(parents=True)
    (tmp_path / "images" / "app" / "Dockerfile.j2").write_text("FROM {{ base }}\n")
    (tmp_path / "targets.toml").write_text(text)
    return Options(targets=str(tmp_path / "targets.toml"), hub=hub)


def test_a_project_without_the_table_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"targets\.toml has no \[smoke\] table"):
        run_smoke(options(tmp_path, PROJECT))


def test_an_image_that_was_not_pushed_is_named(tmp_path: Path) -> None:
    with FakeRegistry() as registry:
        given = options(tmp_path, PROJECT + SMOKE, registry.host)
        with pytest.raises(EnvironmentMissingError) as caught:
            run_smoke(given)
    assert caught.value.brief == f"{registry.host}/app:latest is not in the registry"
    assert "invoke docker" in caught.value.resolution


def test_the_first_chosen_variant_is_run(tmp_path: Path) -> None:
    text = PROJECT + SMOKE + '[variants.default]\nsuffix = ""\n[variants.debug]\n'
    with FakeRegistry() as registry:
        given = replace(options(tmp_path, text, registry.host), variant="debug")
        with pytest.raises(EnvironmentMissingError, match="/app:latest-debug is not in the reg"):
            run_smoke(given)


def test_a_registry_that_refuses_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with FakeRegistry() as registry:
        given = options(tmp_path, PROJECT + SMOKE, registry.host)
        registry.misbehave(Fault("HEAD .*/manifests/.*", status=403))
        with pytest.raises(RegistryError):
            run_smoke(given)
