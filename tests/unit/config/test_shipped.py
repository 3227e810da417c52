"""The files that this project ships for its users are right and current."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from buildkit.config.layers import EXAMPLES as EXAMPLES_FOLDER
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


EXAMPLES = ("istio", "istio-1.20", "istio-1.14")
_TREE = {
    "VERSION": "1.32\n",
    "Makefile.core.mk": (
        "export VERSION ?= 1.14-dev\nBASE_VERSION ?= b1\nISTIO_BASE_REGISTRY ?= r.io/x\n"
    ),
    "istio.deps": json.dumps(
        [
            {"name": name, "lastStableSHA": f"{name}-sha"}
            for name in ("PROXY_REPO_SHA", "ZTUNNEL_REPO_SHA", "AGENTGATEWAY_IMAGE")
        ]
    ),
}


def istio_tree(folder: Path, example: str) -> Path:
    """Make a tree with nothing but the files that an example names."""
    text = (ROOT / "examples" / f"{example}.toml").read_text(encoding="utf-8")
    named = dict.fromkeys(re.findall(r'"\$\{source\}/([^"]+)"', text), "FROM scratch\n")
    for name, content in (named | _TREE).items():
        if any(other.startswith(f"{name}/") for other in named):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def test_istio_of_2022_has_the_images_that_its_make_had(tmp_path: Path) -> None:
    tree = istio_tree(tmp_path, "istio-1.14")
    config = load_project(ROOT / "examples" / "istio-1.14.toml", tree).config
    systems = ("centos_7", "debian_11", "ubuntu_jammy", "ubuntu_xenial")
    product = ("app", "ext-authz", "install-cni", "istioctl", "operator", "pilot", "proxyv2")
    assert sorted(config.images) == sorted((*(f"app_sidecar_{name}" for name in systems), *product))
    assert len(config.binaries) == 12
    assert set(config.packages) == {"istio-sidecar", "istio-sidecar-centos-7"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid_and_pins_what_any_tree_needs(name: str, tmp_path: Path) -> None:
    tree = istio_tree(tmp_path, name)
    project = load_project(ROOT / "examples" / f"{name}.toml", tree)
    assert project.config.fetch["envoy"].number == "PROXY_REPO_SHA-sha"
    assert project.config.matrix.default == "native"
    assert {"proxyv2", "pilot", "istioctl", "install-cni"} < project.config.images.keys()
    assert {binary.group for binary in project.config.binaries.values()} == {None, "agent"}
    # Envoy's version is the tree's, so its pin is too; Go and the registry are not.
    assert project.lock.fetch.get("envoy", {}) == {}
    assert project.lock.go is not None
    assert project.lock.go.sums["linux/amd64"].startswith("h1:")
    assert "registry" in project.lock.tools


def test_the_old_example_has_the_twelve_binaries_of_its_make(tmp_path: Path) -> None:
    project = load_project(
        ROOT / "examples" / "istio-1.14.toml", istio_tree(tmp_path, "istio-1.14")
    )
    names = "bug-report client extauthz install-cni istio-cni istio-cni-taint istio-iptables"
    names = f"{names} istioctl operator pilot-agent pilot-discovery server"
    assert sorted(project.config.binaries) == names.split()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_fork_extends_an_example_by_its_name(name: str, tmp_path: Path) -> None:
    tree = istio_tree(tmp_path, name)
    (tree / "targets.toml").write_text(f'extends = "{name}"\n[project]\nname = "fork"\n')
    project = load_project(tree / "targets.toml")
    assert project.source == tree
    assert project.config.images["pilot"].dockerfile == "pilot/docker/Dockerfile.pilot"


def test_the_package_has_what_the_examples_have() -> None:
    for path in sorted((ROOT / "examples").glob("istio*/*")) + sorted(
        ROOT.glob("examples/istio*.toml")
    ):
        shipped = EXAMPLES_FOLDER / path.relative_to(ROOT / "examples")
        assert shipped.read_bytes() == path.read_bytes()
