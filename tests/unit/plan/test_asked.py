from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.plan.asked import asked_bases
from tests.unit.config.parsing import parse_config
from tests.unit.plan.projects import settings

TEXT = """
schema_version = 1
[project]
name = "mesh"
release_hub = "docker.io/mesh"
[matrix]
platforms = ["linux/amd64"]
[variants.default]
suffix = ""
[variants.small]
base = { debian = "static" }
[bases]
debian = { kind = "debian", suite = "trixie", packages = ["libc6"] }
static = { kind = "static" }
nothing = { kind = "scratch" }
whole = { kind = "scratch" }
[images]
proxy = { base = ["debian"] }
child = { base = ["proxy"] }
pilot = { base = ["nothing"] }
system = { base = ["whole"], default = false }
adopted = { dockerfile = "Dockerfile", default = false }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    for name in ("proxy", "child", "pilot", "system"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "Dockerfile.j2").write_text("FROM {{ base }}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("only", "bases"),
    [
        ((), {"debian", "static", "nothing"}),
        (("pilot",), {"nothing"}),
        (("push/pilot:small@linux/amd64",), {"nothing"}),
        (("child",), {"debian", "static"}),
        (("system", "pilot"), {"whole", "nothing"}),
        (("debian",), {"debian"}),
        (("istioctl",), set()),
        (("adopted",), {"debian", "static", "nothing", "whole"}),
    ],
)
def test_only_bases_that_a_wanted_image_may_start_from_are_asked_for(
    root: Path, only: tuple[str, ...], bases: set[str]
) -> None:
    config = parse_config(TEXT, "targets.toml", root)
    assert asked_bases(config, replace(settings(), only=only)) == bases
    assert asked_bases(config, replace(settings(), only_images=only)) == bases
