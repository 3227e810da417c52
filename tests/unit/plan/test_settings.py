"""Where version, hub, tags and platforms come from; nothing ends empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from buildkit.errors import BuildkitError, ConfigError, UsageError
from buildkit.plan.options import Options
from buildkit.plan.settings import Settings, resolve
from buildkit.plan.units import ArchiveFormat
from buildkit.platform import Platform
from buildkit.vcs import GitFacts
from tests.unit.plan.projects import TEXT, around, project


def settle(
    text: str = TEXT,
    environ: dict[str, str] | None = None,
    root: Path = Path("/mesh"),
    **flags: Any,
) -> Settings:
    return resolve(project(text, root=root), Options(**flags), around(environ))


def with_file(tmp_path: Path, content: str) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "VERSION").write_text(content)
    return tmp_path


FILE = TEXT + '[version]\nfile = "VERSION"\nfallback = "0.0.0"\n'


def test_the_version_of_a_flag_wins(tmp_path: Path) -> None:
    root = with_file(tmp_path, "2.0")
    version = settle(FILE, {"VERSION": "3"}, root, version="4").version
    assert (version.text, version.origin) == ("4", "--version")


def test_the_version_of_the_environment_comes_next(tmp_path: Path) -> None:
    version = settle(FILE, {"VERSION": "3"}, with_file(tmp_path, "2.0")).version
    assert (version.text, version.origin) == ("3", "VERSION in the environment")


def test_the_version_of_the_file_comes_next(tmp_path: Path) -> None:
    version = settle(FILE, {"VERSION": ""}, with_file(tmp_path, " 2.0 \nmore\n")).version
    assert (version.text, version.origin) == ("2.0", "the file VERSION")


def test_the_version_of_git_comes_next() -> None:
    version = settle(FILE).version
    assert (version.text, version.origin) == ("1.2.3-4-gabc", "git describe")


def test_the_fallback_comes_last() -> None:
    outside = around(commit=GitFacts)
    version = resolve(project(FILE), Options(), outside).version
    assert (version.text, version.origin) == ("0.0.0", "version.fallback in targets.toml")


def test_git_is_not_asked_where_the_file_says_so() -> None:
    def never() -> GitFacts:
        raise AssertionError

    text = TEXT + "[version]\ngit = false\n"
    version = resolve(project(text), Options(), around(commit=never)).version
    assert version.text == "0.0.0-dev"


@pytest.mark.parametrize("given", ["", " ", "1 2"])
def test_a_version_is_never_empty_and_has_no_spaces(given: str) -> None:
    with pytest.raises(ConfigError, match="from --version cannot be used"):
        settle(version=given)


def test_an_empty_version_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the version '' from the file VERSION"):
        settle(FILE, root=with_file(tmp_path, "\n"))


def hubs(settings: Settings) -> list[tuple[str, str]]:
    return [(item.hub.text, item.hub.origin) for item in settings.destinations]


def test_the_hub_is_flag_then_environment_then_local_registry_then_file() -> None:
    assert hubs(settle(hub="example.com/a/", environ={"HUB": "b.com"})) == [
        ("example.com/a", "--hub")
    ]
    assert hubs(settle(environ={"HUB": "b.com"})) == [("b.com", "HUB in the environment")]
    file = [("localhost:5000", "registry.hub in targets.toml")]
    assert hubs(settle(environ={"HUB": "", "HUBS": " "})) == file
    moved = resolve(project(), Options(), around(local_hub="localhost:5001"))
    assert hubs(moved) == [("localhost:5001", "the local registry's port")]


def test_several_hubs_and_tags_come_from_flags_or_from_the_variables_of_istio() -> None:
    environ = {"HUBS": "b.com/x  c.com", "HUB": "a.com", "TAGS": "1 2", "TAG": "0"}
    found = settle(environ=environ)
    assert [hub for hub, _ in hubs(found)] == ["b.com/x", "c.com"]
    assert hubs(found)[0][1] == "HUBS in the environment"
    assert tags(found) == [("1", "TAGS in the environment"), ("2", "TAGS in the environment")]
    given = settle(environ=environ, hub="d.com, e.com/,d.com/", tag="3,3")
    assert hubs(given) == [("d.com", "--hub"), ("e.com", "--hub")]
    assert tags(given, 1) == [("3", "--tag")]


def test_each_hub_of_a_mixed_list_keeps_its_own_rules() -> None:
    local, remote = settle(hub="localhost:5000,example.com/a", version="1.0").destinations
    assert [tag.text for tag in local.tags] == ["latest"]
    assert [tag.text for tag in remote.tags] == ["1.0"]
    assert (local.push, local.push_origin) == (True, "the default of a loopback hub")
    assert (remote.push, remote.push_origin) == (False, "the default of a remote hub")
    assert [item.push for item in settle(hub="localhost:5000,b.com", push=True).destinations] == [
        True,
        True,
    ]
    assert not settle(hub="localhost:5000,b.com", push=False).pushed


def test_who_pushes_is_the_flag_then_the_file() -> None:
    text = TEXT + "[registry]\npush = true\n"
    assert origins_of_push(text) == {(True, "registry.push in targets.toml")}
    assert origins_of_push(text, push=False) == {(False, "--no-push")}
    assert origins_of_push(TEXT, push=True) == {(True, "--push")}


def origins_of_push(text: str, **flags: Any) -> set[tuple[bool, str]]:
    found = resolve(project(text), Options(hub="b.com,localhost:5000", **flags), around())
    return {(item.push, item.push_origin) for item in found.destinations}


def test_a_hub_that_is_not_loopback_is_never_replaced_by_the_local_registry() -> None:
    text = TEXT + '[registry]\nhub = "example.com/team"\n'
    found = resolve(project(text), Options(), around(local_hub="localhost:5001"))
    assert [hub for hub, _ in hubs(found)] == ["example.com/team"]


@pytest.mark.parametrize("hub", ["", ",", "UPPER/x", "a b", "b.com,UPPER/x"])
def test_a_hub_that_cannot_be_is_an_error(hub: str) -> None:
    with pytest.raises(ConfigError):
        settle(hub=hub)


def tags(settings: Settings, hub: int = 0) -> list[tuple[str, str]]:
    return [(tag.text, tag.origin) for tag in settings.destinations[hub].tags]


def test_tags_are_flag_then_environment_then_file_then_default() -> None:
    text = TEXT + '[registry]\ntags = ["${version}", "stable-${project}"]\n'
    assert tags(settle(text, {"TAG": "e"}, tag="a, b")) == [("a", "--tag"), ("b", "--tag")]
    assert tags(settle(text, {"TAG": "e"})) == [("e", "TAG in the environment")]
    origin = "registry.tags in targets.toml"
    assert tags(settle(text)) == [("1.2.3-4-gabc", origin), ("stable-mesh", origin)]
    assert tags(settle()) == [("latest", "the default of a loopback hub")]


def test_beyond_loopback_the_tag_is_the_version() -> None:
    found = settle(hub="example.com", version="1.0+dev")
    assert tags(found) == [("1.0-dev", "the version, --version")]


def test_build_metadata_is_written_so_that_a_configured_tag_can_hold_it() -> None:
    text = TEXT + '[registry]\ntags = ["v${version}"]\n'
    assert tags(settle(text, version="1.0+dev"))[0][0] == "v1.0-dev"


@pytest.mark.parametrize("tag", ["", ",", "a/b", "-x"])
def test_a_tag_is_never_empty_and_valid(tag: str) -> None:
    with pytest.raises(ConfigError, match="tag"):
        settle(tag=tag)


def test_a_tag_of_the_environment_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="'a b' is not a valid tag"):
        settle(environ={"TAG": "a b"})


def test_pushing_is_for_loopback_alone_unless_flag_or_file_say_otherwise() -> None:
    assert settle().pushed
    assert not settle(hub="example.com").pushed
    assert settle(hub="example.com", push=True).pushed
    assert not settle(push=False).pushed
    text = TEXT + "[registry]\npush = true\n"
    assert settle(text, hub="example.com").pushed
    assert not settle(text, hub="example.com", push=False).pushed


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("true", True), ("yes", True), ("0", False), ("FALSE", False), ("", False)],
)
def test_debug_and_ci_of_the_environment_stand_for_symbols_and_stamp(
    value: str, *, expected: bool
) -> None:
    assert settle(environ={"DEBUG": value}).symbols is expected
    assert settle(environ={"CI": value}).stamp is expected


def test_a_flag_wins_over_the_environment() -> None:
    assert settle(symbols=True, environ={"DEBUG": "0"}).symbols
    assert not settle(stamp=False, environ={"CI": "1"}).stamp


def test_formats_to_save_are_a_list_without_repetition() -> None:
    assert settle().save == ()
    both = settle(save="docker-archive, oci-archive,docker-archive").save
    assert both == (ArchiveFormat.DOCKER, ArchiveFormat.OCI)


def test_a_format_that_is_none_has_a_near_miss() -> None:
    with pytest.raises(UsageError, match=r"(?s)--save oci-archiv:.*did you mean 'oci-archive'"):
        settle(save="oci-archiv")
    with pytest.raises(UsageError, match="--save names no format"):
        settle(save=",")


def test_jobs_are_the_cores_unless_given() -> None:
    assert settle().jobs == 8
    assert settle(jobs=3).jobs == 3
    with pytest.raises(UsageError, match="at least 1"):
        settle(jobs=-1)


def test_out_lies_beside_the_file_unless_given(tmp_path: Path) -> None:
    assert settle().out == Path("/mesh/out")
    assert settle(out=str(tmp_path / "o")).out == tmp_path / "o"


def platforms(settings: Settings) -> list[str]:
    return [str(platform) for platform in settings.platforms]


def test_all_is_the_matrix_in_its_order() -> None:
    found = settle()
    assert platforms(found) == ["linux/amd64", "linux/arm64", "darwin/arm64"]
    assert found.platform_origin == "matrix.default in targets.toml"


def test_platform_words_and_names_mix_without_repetition() -> None:
    found = settle(platform="darwin/arm64,host,linux/amd64")
    assert platforms(found) == ["darwin/arm64", "linux/amd64"]
    assert found.platform_origin == "--platform"


def test_native_is_the_host_and_linux_of_its_architecture() -> None:
    mac = around(host=Platform("darwin", "arm64"))
    found = resolve(project(), Options(platform="native"), mac)
    assert platforms(found) == ["darwin/arm64", "linux/arm64"]
    assert platforms(settle(platform="native")) == ["linux/amd64"]


def test_the_default_of_the_file_may_be_a_list() -> None:
    text = TEXT.replace("[go]", 'default = ["linux/arm64"]\n[go]', 1)
    assert platforms(settle(text)) == ["linux/arm64"]


def test_a_platform_outside_the_matrix_has_a_near_miss() -> None:
    with pytest.raises(UsageError) as caught:
        settle(platform="linux/amd46")
    assert caught.value.brief == "platform 'linux/amd46' is not in the matrix"
    assert caught.value.details == "did you mean 'linux/amd64'?"


def test_no_platform_at_all_is_an_error() -> None:
    with pytest.raises(UsageError, match="names none"):
        settle(platform=",")


@pytest.mark.parametrize(
    "flags", [{"platform": "no/such"}, {"tag": ""}, {"hub": ""}, {"jobs": -1}, {"version": ""}]
)
def test_every_refusal_says_what_to_do(flags: dict[str, Any]) -> None:
    with pytest.raises(BuildkitError) as caught:
        settle(**flags)
    assert caught.value.resolution or "at least" in caught.value.brief


LINE = TEXT + "[version]\nfile = \"VERSION\"\nline = 'VERSION = (.*)'\n"


def test_the_version_of_one_line_of_a_file(tmp_path: Path) -> None:
    version = settle(LINE, root=with_file(tmp_path, "A = 1\nVERSION = 2.0\n")).version
    assert (version.text, version.origin) == ("2.0", "the line VERSION = (.*) of VERSION")


def test_a_version_that_is_not_in_its_file_does_not_fall_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets\.toml: version: VERSION: no whole line"):
        settle(LINE, root=with_file(tmp_path, "A = 1\n"))
