"""Files that extend files: what merges, what replaces, what paths mean, and who wrote what."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.config.load import Project, load_project
from buildkit.errors import BuildkitError, ConfigError, UsageError

BASE = """\
schema_version = 1
[project]
name = "mesh"
source = "somewhere"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
[go]
tags = ["a", "b"]
[binaries]
pilot = { package = "./pilot" }
[fetch.envoy]
version = "1.40.0"
source = [{ url = "https://example.com/${version}", platforms = ["linux/amd64"] }]
[bases.plain]
kind = "debian"
suite = "trixie"
packages = ["libc6"]
[images.pilot]
base = ["plain"]
binaries = ["pilot"]
files = { "conf.json" = "conf/pilot.json" }
[release]
license = "conf/pilot.json"
[registry]
hub = "example.com/base"
[smoke.containers.pilot]
image = "pilot"
copy = { "/etc/x" = "conf" }
[[smoke.steps]]
title = "one"
copy = { pilot = { "/etc/x" = "conf" } }
"""


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    folder = tmp_path / "kit" / "examples"
    (folder / "images" / "pilot").mkdir(parents=True)
    (folder / "images" / "pilot" / "Dockerfile.j2").write_text("FROM base\n")
    (folder / "conf").mkdir()
    (folder / "conf" / "pilot.json").write_text("{}")
    (folder / "istio.toml").write_text(BASE)
    return folder


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    (tmp_path / "fork").mkdir()
    return tmp_path / "fork"


def load(fork: Path, examples: Path, text: str, *sets: str, local: str = "") -> Project:
    (fork / "targets.toml").write_text(text)
    if local:
        (fork / "targets.local.toml").write_text(local)
    return load_project(fork / "targets.toml", assignments=sets, examples=examples)


def test_one_line_adopts_an_example_for_the_tree_beside_the_file(
    fork: Path, examples: Path
) -> None:
    project = load(fork, examples, 'extends = "istio"\n')
    assert project.source == fork
    pilot = project.config.images["pilot"]
    template = fork / pilot.template
    assert template.resolve() == examples / "images" / "pilot" / "Dockerfile.j2"
    assert (fork / pilot.files["conf.json"]).resolve() == examples / "conf" / "pilot.json"
    license_file = project.config.release.license
    assert isinstance(license_file, str)
    assert (fork / license_file).resolve() == examples / "conf" / "pilot.json"
    smoke = project.config.smoke
    for copied in (smoke.containers["pilot"].copy, smoke.steps[0].copy["pilot"]):
        assert (fork / copied["/etc/x"]).resolve() == examples / "conf"
    assert project.files == (examples / "istio.toml", fork / "targets.toml")
    assert not project.is_local


def test_tables_merge_and_lists_and_values_replace(fork: Path, examples: Path) -> None:
    text = """\
extends = "istio"
[project]
name = "fork"
[go]
tags = ["c"]
[binaries]
extra = { package = "./extra" }
[images.pilot]
description = "ours"
"""
    config = load(fork, examples, text).config
    assert (config.project.name, config.go.tags) == ("fork", ("c",))
    assert set(config.binaries) == {"pilot", "extra"}
    pilot = config.images["pilot"]
    assert (pilot.description, pilot.base, pilot.binaries) == ("ours", ("plain",), ("pilot",))


def test_another_kind_of_base_leaves_the_keys_of_the_old_one_behind(
    fork: Path, examples: Path
) -> None:
    text = 'extends = "istio"\n[bases.plain]\nkind = "static"\n'
    project = load(fork, examples, text)
    base = project.config.bases["plain"]
    assert (base.kind, base.suite, base.packages) == ("static", "", ())
    assert ("bases", "plain", "suite") not in project.origins.written
    more = 'extends = "istio"\n[bases.plain]\nkind = "debian"\nsuite = "forky"\n'
    base = load(fork, examples, more).config.bases["plain"]
    assert (base.suite, base.packages) == ("forky", ("libc6",))


def test_another_version_file_leaves_the_way_into_the_old_one_behind(
    fork: Path, examples: Path
) -> None:
    mesh = examples / "istio.toml"
    mesh.write_text(BASE + "[version]\nfile = \"Makefile\"\nline = 'V=(.*)'\ngit = false\n")
    rule = load(fork, examples, 'extends = "istio"\n[version]\nfile = "VERSION"\n').config.version
    assert (rule.file, rule.line, rule.git) == ("VERSION", "", False)


def test_a_version_is_one_value_also_where_it_is_a_table(fork: Path, examples: Path) -> None:
    rule = "{ file = \"deps\", line = 'SHA=(.*)' }"
    (examples / "istio.toml").write_text(BASE.replace('"1.40.0"', rule))
    (fork / "deps").write_text("x\nSHA=abc\n")
    project = load(fork, examples, 'extends = "istio"\n')
    assert project.config.fetch["envoy"].number == "abc"
    assert project.versions == {"envoy": "the line SHA=(.*) of deps"}
    other = 'extends = "istio"\n[fetch.envoy]\nversion = { file = "deps" }\n'
    assert load(fork, examples, other).config.fetch["envoy"].number == "x"
    fixed = load(fork, examples, 'extends = "istio"\n[fetch.envoy]\nversion = "7"\n')
    assert (fixed.config.fetch["envoy"].number, fixed.versions) == ("7", {})


def test_a_template_of_the_fork_wins(fork: Path, examples: Path) -> None:
    (fork / "images" / "pilot").mkdir(parents=True)
    (fork / "images" / "pilot" / "Dockerfile.j2").write_text("FROM base\n")
    assert load(fork, examples, 'extends = "istio"\n').config.images["pilot"].template == ""


def test_chains_are_followed_and_every_value_knows_its_file(fork: Path, examples: Path) -> None:
    (fork / "middle.toml").write_text(
        'extends = "istio"\n[registry]\nhub = "example.com/middle"\n[images.pilot]\nbase = ["up"]\n'
    )
    text = 'extends = "middle.toml"\n[bases.up]\nkind = "static"\n'
    project = load(fork, examples, text)
    assert project.config.registry.hub == "example.com/middle"
    where = project.origins
    assert where.phrase("registry.hub") == "registry.hub in middle.toml"
    assert where.page("images.pilot.base[0]").place("images.pilot.base") == "middle.toml:5"
    assert where.phrase("go.tags") == "go.tags in ../kit/examples/istio.toml"
    assert where.phrase("bases.up.kind") == "bases.up.kind in targets.toml"
    assert where.phrase("registry.push") == "registry.push in middle.toml"
    assert where.phrase("mirrors") == "mirrors in targets.toml"


def test_what_is_wrong_is_named_where_it_was_written(fork: Path, examples: Path) -> None:
    (examples / "istio.toml").write_text(BASE.replace('base = ["plain"]', 'base = ["x9"]'))
    with pytest.raises(ConfigError) as caught:
        load(fork, examples, 'extends = "istio"\n[images.pilot]\nbinaries = ["pilto"]\n')
    assert caught.value.details.splitlines() == [
        "../kit/examples/istio.toml:19: images.pilot.base: unknown base 'x9'; known: pilot, plain",
        "targets.toml:3: images.pilot.binaries: unknown binary 'pilto'; did you mean 'pilot'?",
    ]


def test_a_missing_file_is_named_as_it_is_seen_from_the_fork(fork: Path, examples: Path) -> None:
    (examples / "conf" / "pilot.json").unlink()
    with pytest.raises(ConfigError, match=r"'\.\./kit/examples/conf/pilot\.json' does not exist"):
        load(fork, examples, 'extends = "istio"\n')


@pytest.mark.parametrize(
    ("base", "hint"),
    [
        ("istoi", "did you mean 'istio'?"),
        ("../none.toml", "relative to the file that names it"),
    ],
)
def test_a_base_that_does_not_exist(fork: Path, examples: Path, base: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(fork, examples, f'schema_version = 1\nextends = "{base}"\n')
    assert caught.value.brief == f"targets.toml:2: extends: there is no '{base}' to extend"
    assert hint in caught.value.details


def test_a_cycle_is_an_error_that_shows_it(fork: Path, examples: Path) -> None:
    (fork / "other.toml").write_text('extends = "targets.toml"\n')
    with pytest.raises(ConfigError, match=r"other\.toml:1: extends: a cycle: "):
        load(fork, examples, 'extends = "other.toml"\n')


@pytest.mark.parametrize("text", ["extends = 3\n", 'extends = ["istio"]\n'])
def test_extends_is_a_text(fork: Path, examples: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"targets\.toml:1: extends: expected a name"):
        load(fork, examples, text)


def test_syntax_of_a_base_is_checked_with_its_line(fork: Path, examples: Path) -> None:
    (examples / "istio.toml").write_text("a = 1\nb = \n")
    with pytest.raises(ConfigError, match=r"^\.\./kit/examples/istio\.toml:2:5: TOML syntax"):
        load(fork, examples, 'extends = "istio"\n')


@pytest.mark.parametrize(
    "text", ["images = 3\n", "[images]\npilot = 3\n", "[smoke]\ncontainers = 3\nsteps = 3\n"]
)
def test_a_base_of_wrong_types_is_refused_by_its_place(
    fork: Path, examples: Path, text: str
) -> None:
    head = BASE.partition("[images.pilot]")[0]
    (examples / "istio.toml").write_text(head + text)
    with pytest.raises(ConfigError) as caught:
        load(fork, examples, 'extends = "istio"\n')
    assert caught.value.details.startswith("../kit/examples/istio.toml:")


def test_a_local_file_lies_over_all_and_is_told(fork: Path, examples: Path) -> None:
    local = '[registry]\nhub = "example.com/mine"\n[mirrors]\n"docker.io" = "m.example.com"\n'
    project = load(fork, examples, 'extends = "istio"\n', local=local)
    assert project.is_local
    assert project.config.registry.hub == "example.com/mine"
    assert project.origins.phrase("registry.hub") == "registry.hub in targets.local.toml"
    told = project.origins.keys_of("targets.local.toml")
    assert told == ("registry.hub", 'mirrors."docker.io"')
    assert project.files[-1] == fork / "targets.local.toml"


def test_a_local_file_may_name_the_source(fork: Path, examples: Path) -> None:
    (fork / "tree").mkdir()
    local = '[project]\nsource = "tree"\n'
    assert load(fork, examples, 'extends = "istio"\n', local=local).source == fork / "tree"


def test_a_local_file_extends_nothing(fork: Path, examples: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets\.local\.toml:1: extends: a local file"):
        load(fork, examples, 'extends = "istio"\n', local='extends = "istio"\n')


def test_what_is_wrong_in_a_local_file_names_it(fork: Path, examples: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets\.local\.toml:2: registry\.hubb: unknown key"):
        load(fork, examples, 'extends = "istio"\n', local='[registry]\nhubb = "x"\n')


def test_assignments_lie_over_the_local_file(fork: Path, examples: Path) -> None:
    local = '[registry]\nhub = "example.com/mine"\n'
    project = load(fork, examples, 'extends = "istio"\n', "registry.hub=a.com", local=local)
    assert project.config.registry.hub == "a.com"
    assert project.origins.phrase("registry.hub") == "--set"


def test_what_is_wrong_in_an_assignment_names_the_flag(fork: Path, examples: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(fork, examples, 'extends = "istio"\n', "images.pilot.base=plane")
    assert caught.value.details == (
        "--set: images.pilot.base: unknown base 'plane'; did you mean 'plain'?"
    )


def test_the_environment_names_a_version_of_envoy(fork: Path, examples: Path) -> None:
    (fork / "targets.toml").write_text('extends = "istio"\n')
    environ = {"ISTIO_ENVOY_VERSION": "abc", "ISTIO_ENVOY_BASE_URL": "https://b.example/proxy"}
    project = load_project(fork / "targets.toml", environ=environ, examples=examples)
    assert project.config.fetch["envoy"].number == "abc"
    assert project.origins.phrase("fetch.envoy.version") == (
        "ISTIO_ENVOY_VERSION in the environment"
    )
    assert project.config.fetch["envoy"].base_url == "https://b.example/proxy"
    assert project.origins.phrase("fetch.envoy.base_url") == (
        "ISTIO_ENVOY_BASE_URL in the environment"
    )
    given = load_project(
        fork / "targets.toml",
        environ=environ,
        assignments=["fetch.envoy.version=7"],
        examples=examples,
    )
    assert given.config.fetch["envoy"].number == "7"


def test_a_mesh_without_envoy_has_no_use_for_its_version(fork: Path, examples: Path) -> None:
    lines = BASE.splitlines(keepends=True)
    (fork / "targets.toml").write_text("".join(lines[:2] + lines[2:3] + lines[4:8]))
    project = load_project(
        fork / "targets.toml", environ={"ISTIO_ENVOY_VERSION": "abc"}, examples=examples
    )
    assert not project.config.fetch


def test_a_missing_targets_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*targets\.toml"):
        load_project(tmp_path / "targets.toml")


def test_every_error_says_what_to_do(fork: Path, examples: Path) -> None:
    with pytest.raises(BuildkitError) as caught:
        load(fork, examples, 'extends = "none"\n')
    assert caught.value.resolution
