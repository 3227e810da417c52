"""From configuration to units: what is wanted, what that needs, what cannot be and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from buildkit.config.lock import Lock
from buildkit.errors import UsageError
from buildkit.plan.draft import split_stable
from buildkit.plan.graph import Graph, matches, settle_volatile
from buildkit.plan.options import Goal
from buildkit.plan.units import (
    AssembleBase,
    BuildImage,
    Compile,
    Download,
    LoadImage,
    Override,
    PushIndex,
    SaveImage,
    Unit,
    WriteLayout,
)
from buildkit.platform import Platform
from tests.unit.plan.projects import FACTS, LOCK, PIN, TEXT, graph

AMD = "linux/amd64"
VERSION = "example.com/v.version"


def ids(found: Graph) -> list[str]:
    return [unit.id for unit in found.units]


def unit(found: Graph, identity: str) -> Unit:
    return next(unit for unit in found.units if unit.id == identity)


def compiled(name: str, platform: str = AMD, **flags: Any) -> Compile:
    action = unit(graph(Goal.BUILD, **flags), f"binary/{name}@{platform}").action
    assert isinstance(action, Compile)
    return action


def image(name: str, **flags: Any) -> BuildImage:
    action = unit(graph(Goal.DOCKER, platform=AMD, **flags), f"image/{name}@{AMD}").action
    assert isinstance(action, BuildImage)
    return action


def test_build_wants_binaries_and_fetches_of_every_platform() -> None:
    found = graph(Goal.BUILD)
    assert ids(found) == [
        "binary/pilot@linux/amd64",
        "binary/agent@linux/amd64",
        "fetch/envoy@linux/amd64",
        "binary/pilot@linux/arm64",
        "binary/agent@linux/arm64",
        "fetch/envoy@linux/arm64",
        "binary/pilot@darwin/arm64",
    ]
    assert dict(found.missing) == {
        "binary/agent@darwin/arm64": "targets.toml does not build it for this platform",
        "fetch/envoy@darwin/arm64": "no source in targets.toml serves this platform",
    }
    assert found.blocked == ()


def test_envoy_wants_fetches_alone() -> None:
    assert ids(graph(Goal.ENVOY, platform=AMD)) == ["fetch/envoy@linux/amd64"]


def test_docker_wants_images_and_what_they_need_each_before_its_users() -> None:
    found = ids(graph(Goal.DOCKER, platform=AMD))
    assert found == [
        "base/static@linux/amd64",
        "binary/pilot@linux/amd64",
        "image/pilot@linux/amd64",
        "base/debian@linux/amd64",
        "fetch/envoy@linux/amd64",
        "binary/agent@linux/amd64",
        "image/proxy@linux/amd64",
        "image/debug@linux/amd64",
        "push/pilot",
        "push/proxy",
        "push/debug",
    ]


@pytest.mark.parametrize("goals", [{Goal.DOCKER}, {Goal.BUILD}, {Goal.BUILD, Goal.DOCKER}])
def test_every_unit_comes_after_what_it_needs(goals: set[Goal]) -> None:
    seen: set[str] = set()
    for item in graph(*goals).units:
        assert set(item.needs) <= seen
        seen.add(item.id)


def test_only_takes_a_unit_and_its_needs() -> None:
    found = ids(graph(Goal.DOCKER, platform=AMD, only="image/debug"))
    assert found == [
        "base/static@linux/amd64",
        "binary/pilot@linux/amd64",
        "image/pilot@linux/amd64",
        "image/debug@linux/amd64",
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("pilot", True),
        ("image/pilot", True),
        ("pilot@linux/amd64", True),
        ("image/pilot@linux/amd64", True),
        ("push/pilot", False),
        ("pilot@linux/arm64", False),
        ("image", False),
        ("pil", False),
    ],
)
def test_a_pattern_names_a_unit_by_name_kind_or_platform(pattern: str, *, expected: bool) -> None:
    assert matches("image/pilot@linux/amd64", pattern) is expected


def test_a_pattern_that_names_nothing_has_a_near_miss() -> None:
    with pytest.raises(UsageError) as caught:
        graph(Goal.BUILD, only="pilto")
    assert caught.value.brief == "--only pilto: no such unit"
    assert caught.value.details == "did you mean 'pilot'?"


def test_a_name_that_exists_but_is_not_wanted_is_no_error() -> None:
    assert ids(graph(Goal.BUILD, only="debug")) == []
    assert ids(graph(Goal.BUILD, platform="darwin/arm64", only="agent")) == []


def test_only_limits_what_is_reported_as_missing() -> None:
    found = graph(Goal.BUILD, platform="darwin/arm64", only="pilot")
    assert found.missing == ()


def test_settings_of_a_group_replace_those_of_go_and_its_environment_joins() -> None:
    pilot, agent = compiled("pilot"), compiled("agent")
    assert pilot.tags == ()
    assert agent.tags == ("agent",)
    assert pilot.ldflags == agent.ldflags == ("-s", "-w", "-extldflags=-static")
    assert pilot.env == (("GOAMD64", "v2"), ("SHARED", "1"))
    assert agent.env == (("GOAMD64", "v2"), ("SHARED", "2"))
    assert not agent.cgo
    assert pilot.trimpath


def test_cgo_names_the_compilers_that_go_would_start() -> None:
    facts = replace(FACTS, find_program={"gcc": "/bin/gcc", "zig": "/bin/zig"}.get)

    def compilers(settings: str, platform: str = "linux/amd64") -> tuple[Path, ...]:
        text = TEXT.replace('env = { GOAMD64 = "v2", SHARED = "1" }', f"cgo = true\n{settings}")
        made = graph(Goal.BUILD, text=text, facts=facts, only="pilot", platform=platform)
        (action,) = (item.action for item in made.units if isinstance(item.action, Compile))
        return action.compilers

    assert compilers('env = { CC = "zig cc" }') == (Path("/bin/zig"),)
    assert compilers("") == (Path("/bin/gcc"),)
    assert compilers("", "darwin/arm64") == ()
    assert compiled("pilot").compilers == ()


def test_symbols_keep_names_and_optimise_nothing() -> None:
    pilot = compiled("pilot", symbols=True)
    assert pilot.ldflags == ("-extldflags=-static",)
    assert pilot.gcflags == ("all=-N -l",)
    assert not pilot.trimpath


def test_stable_stamps_have_values_and_volatile_ones_keep_their_names() -> None:
    action = compiled("pilot", "linux/arm64", version="9")
    assert action.stamps == ((VERSION, "9"), ("example.com/v.where", "linux/arm64"))
    assert action.volatile_stamps == (("example.com/v.revision", "9-${git.revision}"),)


def test_outputs_lie_by_platform_and_windows_has_its_suffix() -> None:
    assert compiled("pilot").output == Path("/mesh/out/linux_amd64/pilot")
    text = TEXT.replace('"darwin/arm64"]', '"windows/amd64"]', 1)
    assert compiled("pilot", "windows/amd64", text=text).output.name == "pilot.exe"


def test_a_fetch_takes_the_sources_that_are_pinned_in_their_order() -> None:
    action = unit(graph(Goal.ENVOY, platform=AMD), f"fetch/envoy@{AMD}").action
    assert isinstance(action, Download)
    assert [(source.url, pin) for source, pin in action.sources] == [
        ("https://example.com/${arch}", PIN)
    ]
    assert action.override is None


OWN = Override(words="/envoy", path=Path("/envoy"))


def test_a_local_envoy_serves_a_platform_that_no_source_does() -> None:
    facts = replace(FACTS, overrides=((Platform("darwin", "arm64"), OWN),))
    found = graph(Goal.ENVOY, facts=facts, platform="darwin/arm64")
    action = unit(found, "fetch/envoy@darwin/arm64").action
    assert isinstance(action, Download)
    assert action.override == OWN
    assert found.missing == ()


def test_an_image_knows_its_context_variables_and_labels() -> None:
    proxy = image("proxy", version="9")
    assert proxy.context == (
        ("envoy", f"fetch/envoy@{AMD}"),
        ("agent", f"binary/agent@{AMD}"),
        ("conf.json", "file:/mesh/images/conf.json"),
    )
    assert proxy.template == Path("/mesh/images/proxy/Dockerfile.j2")
    pilot = image("pilot", version="9")
    assert ("vars.port", "amd64-15010") in pilot.variables
    labels = dict(pilot.labels)
    assert labels["org.opencontainers.image.version"] == "9"
    assert "org.opencontainers.image.licenses" not in labels
    assert dict(pilot.volatile_labels) == {
        "org.opencontainers.image.created": "${created}",
        "org.opencontainers.image.description": "for $$5 at ${git.revision}",
        "org.opencontainers.image.revision": "${git.revision}",
    }


def test_the_first_base_that_can_be_had_is_used_silently() -> None:
    found = graph(Goal.DOCKER, platform=AMD, only="proxy")
    assert "base/debian@linux/amd64" in ids(found)
    assert found.notes == ()


UNLOCKED = Lock(fetch=LOCK.fetch, registry=LOCK.registry)


@pytest.mark.parametrize(
    ("lock", "facts", "reason"),
    [
        (UNLOCKED, FACTS, "its packages are not locked, run `invoke lock`"),
        (
            LOCK,
            replace(FACTS, archive=""),
            "no Debian archive is known here, name one with --debian-archive",
        ),
    ],
)
def test_a_base_that_cannot_be_had_gives_way_to_the_next_with_a_reason(
    lock: Lock, facts: Any, reason: str
) -> None:
    found = graph(Goal.DOCKER, platform=AMD, only="proxy", lock=lock, facts=facts)
    assert unit(found, f"image/proxy@{AMD}").needs[0] == "base/remote@linux/amd64"
    assert found.notes == (f"proxy@{AMD} uses base remote: debian: {reason}",)


def test_a_base_from_a_mirror_is_noted_once() -> None:
    text = f'{TEXT}\n[mirrors]\n"example.com" = "mirror.test/example"\n'
    text = text.replace('base = ["debian", "remote"]', 'base = ["remote"]')
    text = text.replace("[images.debug]\nbase", '[images.debug]\nbase = ["remote"]\n#')
    found = graph(Goal.DOCKER, platform=AMD, text=text)
    assert found.notes == (
        "base remote is read from the mirror mirror.test/example/base, not example.com/base",
    )
    assert graph(Goal.DOCKER, platform=AMD, only="pilot", text=text).notes == ()


@pytest.mark.parametrize(
    ("flags", "goal", "notes"),
    [
        ({"hub": "example.com/x"}, Goal.DOCKER, 1),
        ({"hub": "example.com/x", "push": True}, Goal.DOCKER, 0),
        ({"hub": "example.com/x"}, Goal.BUILD, 0),
        ({"hub": "localhost:5000", "push": False}, Goal.DOCKER, 0),
    ],
)
def test_what_is_not_pushed_though_a_hub_is_named_is_said(
    flags: dict[str, Any], goal: Goal, notes: int
) -> None:
    found = [note for note in graph(goal, only="pilot", **flags).notes if "--push" in note]
    assert len(found) == notes


def test_a_cached_base_needs_neither_archive_nor_reason() -> None:
    facts = replace(FACTS, archive="", cached_bases=frozenset({"base/debian@linux/amd64"}))
    found = graph(Goal.DOCKER, platform=AMD, only="proxy", facts=facts)
    assert "base/debian@linux/amd64" in ids(found)
    assert found.notes == ()


def test_a_base_whose_list_of_packages_changed_is_not_locked_though_it_is_cached() -> None:
    facts = replace(FACTS, cached_bases=frozenset({"base/debian@linux/amd64"}))
    text = TEXT.replace('packages = ["libc6"]', 'packages = ["libc6", "zlib1g"]')
    found = graph(Goal.DOCKER, platform=AMD, only="proxy", facts=facts, text=text)
    assert unit(found, f"image/proxy@{AMD}").needs[0] == "base/remote@linux/amd64"
    assert "its packages are not locked" in found.notes[0]


def test_an_image_without_any_base_is_blocked_with_every_reason() -> None:
    found = graph(Goal.DOCKER, platform="linux/arm64", lock=UNLOCKED)
    assert dict(found.blocked) == {
        "image/proxy@linux/arm64": "no base (debian: its packages are not locked, run "
        "`invoke lock`; remote: its digest is not locked for linux/arm64, but for linux/amd64, "
        "run `invoke lock`)"
    }
    assert "push/proxy" not in ids(found)
    assert "push/pilot" in ids(found)


def test_an_image_without_one_of_its_binaries_is_blocked() -> None:
    text = TEXT.replace('platforms = ["linux/amd64", "linux/arm64"] }\n[fetch', "}\n[fetch", 1)
    text = text.replace('platforms = ["linux/amd64", "linux/arm64"] },', "platforms = [] },")
    found = graph(Goal.DOCKER, platform="linux/arm64", text=text, only="proxy")
    assert dict(found.blocked) == {
        "image/proxy@linux/arm64": "needs fetch/envoy@linux/arm64, which does not exist"
    }


def test_images_exist_for_linux_alone() -> None:
    found = graph(Goal.DOCKER, platform="darwin/arm64")
    assert ids(found) == []
    assert found.missing == found.blocked == ()


def test_an_image_on_an_image_needs_it_whatever_their_order() -> None:
    text = TEXT.replace("[images.debug]", "[images.zzz]").replace(
        "[images.pilot]", '[images.aaa]\nbase = ["pilot"]\n[images.pilot]'
    )
    found = graph(Goal.DOCKER, platform=AMD, text=text, only="aaa")
    assert unit(found, f"image/aaa@{AMD}").needs == (f"image/pilot@{AMD}",)
    assert ids(found).index(f"image/pilot@{AMD}") < ids(found).index(f"image/aaa@{AMD}")


def test_a_push_names_all_platforms_by_every_tag() -> None:
    found = graph(Goal.DOCKER, tag="1,2", hub="example.com/team", push=True)
    action = unit(found, "push/pilot").action
    assert isinstance(action, PushIndex)
    assert action.images == ("image/pilot@linux/amd64", "image/pilot@linux/arm64")
    assert action.references == ("example.com/team/pilot:1", "example.com/team/pilot:2")
    assert action.compress
    local = unit(graph(Goal.DOCKER), "push/pilot").action
    assert isinstance(local, PushIndex)
    assert not local.compress


def test_one_remote_hub_or_a_stamp_is_enough_to_compress() -> None:
    for flags in ({"hub": "localhost:1,example.com", "push": True}, {"stamp": True}):
        action = unit(graph(Goal.DOCKER, **flags), "push/pilot").action
        assert isinstance(action, PushIndex)
        assert action.compress


def test_a_remote_hub_of_a_list_waits_for_push_and_is_said_to() -> None:
    found = graph(Goal.DOCKER, hub="localhost:1,example.com")
    action = unit(found, "push/pilot").action
    assert isinstance(action, PushIndex)
    assert action.references == ("localhost:1/pilot:latest",)
    assert not action.compress
    assert (
        "nothing is pushed to example.com: that takes --push, or registry.push = true"
        in found.notes
    )


@pytest.mark.parametrize(
    ("flags", "gzipped"),
    [
        ({}, False),
        ({"no_clobber": True}, False),
        ({"stamp": True}, True),
        ({"layout": True}, True),
        ({"save": "docker-archive"}, True),
        ({"hub": "example.com/team", "push": True}, True),
    ],
)
def test_layers_are_plain_only_where_all_that_is_written_is_loopback(
    flags: dict[str, Any], *, gzipped: bool
) -> None:
    found = graph(Goal.DOCKER, facts=replace(FACTS, daemon=Platform.parse(AMD)), **flags)
    sinks = [item.action for item in found.units if item.id.endswith("/pilot")]
    asked = [
        item.compress for item in sinks if isinstance(item, PushIndex | WriteLayout | SaveImage)
    ]
    assert set(asked) == {gzipped}


def test_a_layout_holds_every_platform_under_every_name() -> None:
    found = graph(Goal.DOCKER, tag="1,2", layout=True)
    action = unit(found, "layout/pilot").action
    assert isinstance(action, WriteLayout)
    assert action.images == ("image/pilot@linux/amd64", "image/pilot@linux/arm64")
    assert action.references == ("localhost:5000/pilot:1", "localhost:5000/pilot:2")
    assert action.folder == Path("/mesh/out/oci")
    assert not [name for name in ids(graph(Goal.DOCKER)) if name.startswith("layout/")]
    assert not [name for name in ids(graph(Goal.BUILD, layout=True)) if "layout/" in name]


def test_an_archive_has_every_platform_or_the_daemons() -> None:
    facts = replace(FACTS, daemon=Platform.parse("linux/arm64"))
    found = graph(Goal.DOCKER, facts=facts, save="oci-archive,docker-archive")
    oci, docker = (
        unit(found, f"{form}/pilot").action for form in ("oci-archive", "docker-archive")
    )
    assert isinstance(oci, SaveImage)
    assert isinstance(docker, SaveImage)
    assert oci.images == ("image/pilot@linux/amd64", "image/pilot@linux/arm64")
    assert docker.images == ("image/pilot@linux/arm64",)
    assert oci.output == Path("/mesh/out/images/pilot.oci.tar")
    assert docker.output == Path("/mesh/out/images/pilot.docker.tar")


def test_a_docker_archive_of_several_platforms_none_of_them_the_daemons_is_blocked() -> None:
    facts = replace(FACTS, daemon=Platform.parse("linux/s390x"))
    found = graph(Goal.DOCKER, facts=facts, save="docker-archive", only="pilot")
    reason = "a docker-archive holds one platform; choose it with --platform"
    assert dict(found.blocked) == {"docker-archive/pilot": reason}
    alone = graph(Goal.DOCKER, facts=facts, save="docker-archive", only="pilot", platform=AMD)
    assert unit(alone, "docker-archive/pilot").needs == (f"image/pilot@{AMD}",)


def test_a_hub_that_is_not_pushed_to_still_names_what_is_loaded() -> None:
    facts = replace(FACTS, daemon=Platform.parse("linux/arm64"))
    found = graph(Goal.DOCKER, tag="1,2", hub="example.com/team", facts=facts)
    assert "push/pilot" not in ids(found)
    action = unit(found, "load/pilot").action
    assert isinstance(action, LoadImage)
    assert action.image == "image/pilot@linux/arm64"
    assert action.references == ("example.com/team/pilot:1", "example.com/team/pilot:2")


def test_the_only_platform_is_loaded_though_it_is_not_the_daemons() -> None:
    facts = replace(FACTS, daemon=Platform.parse("linux/arm64"))
    found = graph(Goal.DOCKER, platform=AMD, facts=facts)
    assert unit(found, "load/pilot").needs == (f"image/pilot@{AMD}",)
    assert "load/pilot" not in ids(graph(Goal.DOCKER, facts=facts, load=False))


def test_bases_know_their_pins() -> None:
    found = graph(Goal.DOCKER, platform=AMD)
    action = unit(found, f"base/debian@{AMD}").action
    assert isinstance(action, AssembleBase)
    assert [pin.name for pin in action.packages] == ["libc6"]
    assert action.archive == FACTS.archive


def test_settled_volatile_values_become_stable() -> None:
    values = {"git.revision": "abc", "created": "now"}
    found = graph(Goal.DOCKER, platform=AMD, version="9")
    binary = settle_volatile(unit(found, f"binary/pilot@{AMD}"), values).action
    assert isinstance(binary, Compile)
    assert binary.volatile_stamps == ()
    assert ("example.com/v.revision", "9-abc") in binary.stamps
    pilot = settle_volatile(unit(found, f"image/pilot@{AMD}"), values).action
    assert isinstance(pilot, BuildImage)
    assert pilot.volatile_labels == ()
    assert dict(pilot.labels)["org.opencontainers.image.description"] == "for $5 at abc"
    other = unit(found, "push/pilot")
    assert settle_volatile(other, values) is other


def test_a_value_with_a_dollar_survives_both_interpolations() -> None:
    stable, volatile = split_stable(
        {"a": "${version}$$", "b": "$$${version}${git.revision}"}, {"version": "1$"}
    )
    assert stable == (("a", "1$$"),)
    assert volatile == (("b", "$$1$$${git.revision}"),)
