"""Istio's names in the environment: those that count, and a word for the others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from buildkit.config.environment import ENVOY_KEYS
from buildkit.config.model import Fetch, Source
from buildkit.errors import UsageError
from buildkit.plan.destinations import check_protected
from buildkit.plan.graph import build_graph
from buildkit.plan.istio import INSTEAD, read_names, unread_names
from buildkit.plan.options import Goal, Options
from buildkit.plan.settings import Settings, resolve
from tests.unit.plan.projects import FACTS, TEXT, around, project


def settle(environ: dict[str, str], text: str = TEXT, **flags: Any) -> Settings:
    return resolve(project(text), Options(**flags), around(environ))


@pytest.mark.parametrize(
    ("environ", "platforms"),
    [
        ({"TARGET_ARCH": "arm64"}, ["linux/arm64"]),
        ({"TARGET_OS": "darwin", "TARGET_ARCH": "arm64"}, ["darwin/arm64", "linux/arm64"]),
        ({"TARGET_OS": "linux"}, ["linux/amd64"]),
        ({"DOCKER_ARCHITECTURES": "linux/amd64,linux/arm64"}, ["linux/amd64", "linux/arm64"]),
        (
            {"TARGET_OS": "darwin", "TARGET_ARCH": "arm64", "DOCKER_ARCHITECTURES": "linux/amd64"},
            ["darwin/arm64", "linux/amd64"],
        ),
    ],
)
def test_platforms_of_the_environment(environ: dict[str, str], platforms: list[str]) -> None:
    found = settle(environ)
    assert [str(item) for item in found.platforms] == platforms
    assert found.platform_origin == f"{', '.join(environ)} in the environment"


def test_a_flag_goes_before_the_environment_and_the_plan_says_so() -> None:
    found = settle({"TARGET_ARCH": "arm64"}, platform="linux/amd64")
    assert [str(item) for item in found.platforms] == ["linux/amd64"]
    assert "TARGET_ARCH in the environment: passed over for --platform" in found.notes


def test_a_platform_outside_the_matrix_names_the_variable() -> None:
    with pytest.raises(UsageError, match=r"'linux/s390x', from TARGET_ARCH in the environment, is"):
        settle({"TARGET_ARCH": "s390x"})


def units(environ: dict[str, str], *goals: Goal, **flags: Any) -> set[str]:
    chosen = settle(environ, platform="linux/amd64", **flags)
    graph = build_graph(project(), chosen, FACTS, frozenset(goals))
    return {f"{unit.kind}/{unit.name}" for unit in graph.units}


def test_docker_targets_choose_images_and_leave_binaries_alone() -> None:
    environ = {"DOCKER_TARGETS": "docker.pilot push.docker.debug"}
    images = units(environ, Goal.DOCKER)
    assert {"image/pilot", "image/debug", "binary/pilot"} <= images
    assert not {"image/proxy", "fetch/envoy"} & images
    both = units(environ, Goal.DOCKER, Goal.BUILD)
    assert {"image/pilot", "binary/agent", "fetch/envoy"} <= both
    assert "image/proxy" not in both


def test_only_goes_before_docker_targets() -> None:
    found = units({"DOCKER_TARGETS": "docker.pilot"}, Goal.DOCKER, only="proxy")
    assert "image/proxy" in found
    assert "image/pilot" not in found


def test_docker_targets_that_name_no_image() -> None:
    with pytest.raises(UsageError, match=r"DOCKER_TARGETS .* no image 'pilto'") as caught:
        settle({"DOCKER_TARGETS": "docker.pilto"})
    assert caught.value.details == "did you mean 'pilot'?"


def test_the_plan_shows_which_names_count() -> None:
    environ = {
        "TARGET_OS": "linux",
        "DOCKER_TARGETS": "docker.pilot",
        "ISTIO_ENVOY_VERSION": "1.40.0",
        "DEBUG": "1",
    }
    assert settle(environ).notes == (
        "TARGET_OS in the environment: the platforms",
        "DOCKER_TARGETS in the environment: the images that are made",
        "ISTIO_ENVOY_VERSION in the environment: fetch.envoy.version",
        "DEBUG in the environment: --symbols",
    )
    assert settle({}).notes == ()


def test_the_plan_shows_which_names_flags_pass_over() -> None:
    environ = {"DOCKER_TARGETS": "docker.pilot", "ISTIO_ENVOY_VERSION": "9", "DEBUG": "1"}
    found = read_names(environ, project(), Options(only="pilot", symbols=True))
    assert [note.partition(": ")[2] for note in found] == [
        "passed over for --only",
        "passed over for --set",
        "passed over for --symbols",
    ]


def test_a_place_of_builds_counts_where_a_source_has_it() -> None:
    environ = {"ISTIO_ENVOY_BASE_URL": "https://corp.example/proxy"}
    mesh = project()
    assert read_names(environ, mesh, Options()) == (
        (
            "ISTIO_ENVOY_BASE_URL in the environment: passed over, no source of fetch.envoy has "
            "${base_url}"
        ),
    )
    for base_url, words in (
        ("https://corp.example/proxy", "fetch.envoy.base_url"),
        ("https://other.example", "passed over for --set"),
    ):
        source = Source(platforms=("linux/amd64",), url="${base_url}/envoy-${version}")
        fetch = Fetch(version="9", source=(source,), base_url=base_url)
        config = msgspec.structs.replace(mesh.config, fetch={"envoy": fetch})
        assert read_names(environ, msgspec.structs.replace(mesh, config=config), Options()) == (
            f"ISTIO_ENVOY_BASE_URL in the environment: {words}",
        )


def test_a_version_of_an_envoy_that_is_not_fetched() -> None:
    mesh = project()
    bare = msgspec.structs.replace(mesh.config, fetch={})
    (note,) = read_names(
        {"ISTIO_ENVOY_VERSION": "9"},
        type(mesh)(targets=mesh.targets, config=bare, lock=mesh.lock, source=mesh.source),
        Options(),
    )
    assert note.endswith("there is no fetch.envoy for it")


def test_names_of_arguments_and_variants_say_what_they_do() -> None:
    environ = {"BASE_VERSION": "1.$", "DOCKER_BUILD_VARIANTS": "a", "INCLUDE_UNTAGGED_DEFAULT": "1"}
    assert read_names(environ, project(), Options()) == (
        (
            "BASE_VERSION in the environment: there is no Dockerfile of the source tree that it is "
            "for; use bases.NAME.reference or the table [mirrors]"
        ),
        (
            "DOCKER_BUILD_VARIANTS, INCLUDE_UNTAGGED_DEFAULT in the environment: "
            "there is no table [variants]"
        ),
    )
    more = '[images.x]\ndockerfile = "D"\n[variants.a]\n[args]\nBASE_VERSION = "1.$$"\n'
    mesh = project(TEXT + more)
    assert read_names(environ, mesh, Options()) == (
        "BASE_VERSION in the environment: args.BASE_VERSION",
        "DOCKER_BUILD_VARIANTS, INCLUDE_UNTAGGED_DEFAULT in the environment: the variants",
    )
    environ["BASE_VERSION"] = "2"
    assert [
        note.partition(": ")[2] for note in read_names(environ, mesh, Options(variant="a"))
    ] == [
        "passed over for --set",
        "passed over for --variant",
    ]


def test_one_warning_names_what_to_use_for_all_other_names() -> None:
    environ = {"SIDECAR": "envoy", "TARGET_OUT": "x", "LDFLAGS": "", "HUB": "a", "HOME": "/"}
    assert unread_names(environ) == (
        "not read from the environment: SIDECAR (use the names of the table [fetch]); "
        "TARGET_OUT (use --out)"
    )
    assert unread_names({"HUB": "a"}) == ""


def test_an_envoy_or_ztunnel_of_ones_own_is_told_the_way() -> None:
    own = {"ISTIO_ENVOY_LINUX_RELEASE_PATH": "/e", "BUILD_ZTUNNEL": "1", "GCFLAGS": "all=-N"}
    assert unread_names(own) == (
        "not read from the environment: BUILD_ZTUNNEL (use [command.ztunnel] with cargo); "
        "GCFLAGS (use go.gcflags, or --symbols); ISTIO_ENVOY_LINUX_RELEASE_PATH (use --envoy)"
    )


def test_no_name_is_both_read_and_warned_of() -> None:
    read = {"VERSION", "HUB", "HUBS", "TAG", "TAGS", "TARGET_OS", "TARGET_ARCH", "DEBUG"}
    read |= {"DOCKER_TARGETS", "DOCKER_ARCHITECTURES"} | ENVOY_KEYS.keys()
    read |= {"BASE_VERSION", "ISTIO_BASE_REGISTRY"}
    read |= {"DOCKER_BUILD_VARIANTS", "INCLUDE_UNTAGGED_DEFAULT"}
    assert not read & INSTEAD.keys()


RULES = ("docker.io/istio", "gcr.io")


@pytest.mark.parametrize(
    "hub", ["docker.io/istio", "istio", "docker.io/istio/release/", "gcr.io/team", "gcr.io"]
)
def test_protected_hubs_and_what_is_below_them_are_pushed_to_in_ci_alone(hub: str) -> None:
    with pytest.raises(UsageError, match="is protected: only CI pushes there"):
        check_protected(["localhost:5000", hub], RULES, {})
    with pytest.raises(UsageError, match="is protected"):
        check_protected([hub], RULES, {"CI": "false"})
    check_protected([hub], RULES, {"CI": "true"})


@pytest.mark.parametrize("hub", ["docker.io/istio-fork", "docker.io", "localhost:5000/istio"])
def test_other_hubs_are_open(hub: str) -> None:
    check_protected([hub], RULES, {})


def test_the_plan_says_that_a_push_would_be_refused() -> None:
    text = TEXT + '[registry]\nprotected = ["docker.io/istio"]\n'
    note = "istio/x is protected: pushing there is refused outside CI"
    assert settle({}, text, hub="istio/x", push=True).notes == (note,)
    assert settle({"CI": "1"}, text, hub="istio/x", push=True).notes == ()
    assert settle({}, text, hub="istio/x").notes == ()
