from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.adopt.dockerplan import PlannedImage, adopt_plan, parse_plan
from buildkit.adopt.model import Image
from buildkit.errors import ConfigError

PLAN = """\
example:
- name: ignored
  dockerfile: x/Dockerfile
images:
# a comment
- name: proxy
  dockerfile: docker/Dockerfile.proxy
  files:
  - conf/a.json
  - conf/unused.json
  - ${TARGET_OUT_LINUX}/${RELEASE_MODE}/${SIDECAR} # fetched
  targets:
    - ${TARGET_OUT_LINUX}/agent
- name: base
  dockerfile: docker/Dockerfile.proxy
  base: true
- name: app_sidecar_debian_12
  dockerfile: docker/Dockerfile.vm
  emulationRequired: true
  targets:
  - ${TARGET_OUT_LINUX}/release/istio-sidecar.deb
"""
DOCKERFILE = """\
ARG BASE_DISTRIBUTION=debug
FROM x AS debug
FROM ${BASE_DISTRIBUTION:-debug}
ARG TARGETARCH
COPY a.json /etc/
COPY ${TARGETARCH:-amd64}/agent ${TARGETARCH:-amd64}/envoy /bin/
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("docker", "conf"):
        (tmp_path / name).mkdir()
    (tmp_path / "docker" / "Dockerfile.proxy").write_text(DOCKERFILE)
    (tmp_path / "docker" / "Dockerfile.vm").write_text(
        "ARG VM_IMAGE_NAME=x\nARG VM_IMAGE_VERSION=1\nFROM x\n"
    )
    for name in ("a.json", "unused.json"):
        (tmp_path / "conf" / name).write_text("{}")
    return tmp_path


def test_images_get_what_the_plan_stages_and_the_dockerfile_copies(tree: Path) -> None:
    proxy, base, machine = adopt_plan(tree, parse_plan(PLAN), ["agent", "envoy"])
    assert proxy == Image(
        name="proxy", dockerfile="docker/Dockerfile.proxy", files={"a.json": "conf/a.json"}
    )
    assert base.left_out.startswith("a base, ")
    assert not base.variants
    assert machine.args == {"VM_IMAGE_NAME": "debian", "VM_IMAGE_VERSION": "12"}
    assert machine.left_out == "it needs istio-sidecar.deb, which nothing here makes"
    assert not machine.variants


def test_what_is_not_built_here_leaves_an_image_out(tree: Path) -> None:
    (image, *_) = adopt_plan(tree, parse_plan(PLAN), ["agent"])
    assert image.left_out == "it needs envoy, which nothing here makes"
    (tree / "conf" / "a.json").unlink()
    (image, *_) = adopt_plan(tree, parse_plan(PLAN), ["agent", "envoy"])
    assert image.left_out == "it needs conf/a.json, which nothing here makes"


def test_a_dockerfile_that_cannot_be_used_is_named(tree: Path) -> None:
    plan = [PlannedImage(name="x", dockerfile=name) for name in ("docker/none", "docker/odd", "go")]
    (tree / "docker" / "odd").write_text("NONSENSE x\n")
    (tree / "go").write_text("FROM golang\n")
    none, odd, compiles = adopt_plan(tree, plan, [])
    assert none.left_out == "docker/none does not exist"
    assert "unknown instruction" in odd.left_out
    assert not any(image.variants for image in (none, odd))
    assert compiles.left_out == "it compiles by itself, line 1"


@pytest.mark.parametrize("text", ["images: [", "images: 3", "images:\n- name: 1\n"])
def test_a_plan_of_another_form_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"tools/docker\.yaml cannot be read"):
        parse_plan(text)
