"""Keys of images from Dockerfiles, of arguments and variants: what loads, and what is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.config.load import Project, load_project
from buildkit.errors import ConfigError

GOOD = """\
schema_version = 1
[project]
name = "mesh"
source = "tree"
[matrix]
platforms = ["linux/amd64"]
[binaries]
pilot = { package = "./pilot" }
[fetch.envoy]
version = "1.40.0"
source = [{ url = "https://example.com/${version}", platforms = ["linux/amd64"] }]
[bases.plain]
kind = "scratch"
replaces = ["registry.example.com/base"]
[bases.other]
kind = "static"
[args]
BASE_VERSION = { file = "Makefile", line = 'BASE_VERSION \\?= (\\S+)' }
[variants.default]
suffix = ""
[variants.distroless]
args = { BASE_DISTRIBUTION = "distroless" }
base = { plain = "other" }
[images.pilot]
dockerfile = "${source}/pilot/Dockerfile"
args = { proxy_version = "envoy:${fetch.envoy}" }
files = { "dns" = "${source}/certs" }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "pilot").mkdir(parents=True)
    (tmp_path / "tree" / "certs").mkdir()
    (tmp_path / "tree" / "pilot" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "tree" / "Makefile").write_text("BASE_VERSION ?= 1.30-$\n")
    return tmp_path


def load(root: Path, text: str = GOOD, *sets: str) -> Project:
    (root / "targets.toml").write_text(text)
    return load_project(root / "targets.toml", assignments=sets)


def complaint(root: Path, before: str, after: str) -> str:
    assert before in GOOD
    with pytest.raises(ConfigError) as caught:
        load(root, GOOD.replace(before, after, 1))
    return caught.value.details


def test_paths_of_the_tree_are_found_from_the_file(root: Path) -> None:
    image = load(root).config.images["pilot"]
    assert (image.dockerfile, image.files) == ("tree/pilot/Dockerfile", {"dns": "tree/certs"})


def test_the_tree_that_is_named_by_a_flag_is_meant(root: Path) -> None:
    (root / "targets.toml").write_text(GOOD)
    (root / "tree").rename(root / "fork")
    project = load_project(root / "targets.toml", root / "fork")
    assert project.config.images["pilot"].dockerfile == "fork/pilot/Dockerfile"


def test_a_value_of_the_tree_is_a_text_whose_dollars_stand_for_themselves(root: Path) -> None:
    project = load(root)
    assert project.config.args == {"BASE_VERSION": "1.30-$$"}
    assert project.arguments == {
        "args.BASE_VERSION": r"the line BASE_VERSION \?= (\S+) of Makefile"
    }


def test_one_run_may_have_another_value(root: Path) -> None:
    project = load(root, GOOD, "args.BASE_VERSION=1.31")
    assert project.config.args == {"BASE_VERSION": "1.31"}
    assert project.arguments == {}


def test_istios_names_win_over_the_files_for_arguments(root: Path) -> None:
    text = GOOD.replace("args = { proxy", 'args = { ISTIO_BASE_REGISTRY = "r.test", proxy')
    (root / "targets.toml").write_text(text)
    environ = {"BASE_VERSION": "1.31", "ISTIO_BASE_REGISTRY": " mirror.test/$release "}
    project = load_project(root / "targets.toml", environ=environ)
    assert project.config.args["BASE_VERSION"] == "1.31"
    image = project.config.images["pilot"]
    assert image.args["ISTIO_BASE_REGISTRY"] == "mirror.test/$$release"
    assert project.origins.phrase("args.BASE_VERSION") == "BASE_VERSION in the environment"
    over = load_project(
        root / "targets.toml", environ=environ, assignments=("args.BASE_VERSION=2",)
    )
    assert over.config.args["BASE_VERSION"] == "2"


def test_istios_names_mean_nothing_without_a_dockerfile(root: Path) -> None:
    (root / "targets.toml").write_text(GOOD.partition("[images.pilot]")[0])
    project = load_project(root / "targets.toml", environ={"BASE_VERSION": "1.31"})
    assert project.config.args["BASE_VERSION"] == "1.30-$$"


def test_a_value_that_is_not_in_the_tree_is_told_with_its_place(root: Path) -> None:
    (root / "tree" / "Makefile").write_text("")
    with pytest.raises(ConfigError, match=r"targets.toml:18: args.BASE_VERSION"):
        load(root)


def test_a_fork_takes_another_dockerfile_for_a_template_and_keeps_paths_of_the_tree(
    root: Path,
) -> None:
    fork = root / "fork"
    (fork / "certs").mkdir(parents=True)
    (fork / "Makefile").write_text("BASE_VERSION ?= 1\n")
    (root / "lower.toml").write_text(
        GOOD.replace(
            'dockerfile = "${source}/pilot/Dockerfile"', 'template = "x.j2"\nbase = ["plain"]'
        )
    )
    (fork / "targets.toml").write_text(
        'extends = "../lower.toml"\nimages.pilot.dockerfile = "Dockerfile"\n'
    )
    (fork / "Dockerfile").write_text("FROM scratch\n")
    image = load_project(fork / "targets.toml").config.images["pilot"]
    assert (image.dockerfile, image.template, image.base) == ("Dockerfile", "", ())
    assert image.files == {"dns": "certs"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            'dockerfile = "${source}/pilot/Dockerfile"',
            'dockerfile = "${source}/pilot/Dokerfile"',
            "targets.toml:25: images.pilot.dockerfile: 'tree/pilot/Dokerfile' does not exist",
        ),
        (
            'dockerfile = "${source}/pilot/Dockerfile"',
            'target = "x"',
            "targets.toml:25: images.pilot.target: a template's image is its last stage",
        ),
        (
            'dockerfile = "${source}/pilot/Dockerfile"',
            'dockerfile = "images/pilot/Dockerfile.j2"',
            "images.pilot.dockerfile: this is a template; write template = for pilot",
        ),
        (
            "[images.pilot]",
            '[images.pilot]\ntemplate = "x.j2"',
            "targets.toml:24: images.pilot: give either template or dockerfile",
        ),
        (
            "[images.pilot]",
            '[images.pilot]\nbase = ["plain"]',
            (
                "targets.toml:25: images.pilot.base: a Dockerfile names its bases itself; "
                "say what stands for them with bases.NAME.replaces"
            ),
        ),
        (
            "[images.pilot]",
            '[images.pilot]\nvariables = { a = "b" }',
            "targets.toml:25: images.pilot.variables: a Dockerfile has no variables; use args",
        ),
        (
            "${fetch.envoy}",
            "${fetch.envoi}",
            (
                "targets.toml:26: images.pilot.args.proxy_version: unknown variable "
                "'${fetch.envoi}'; did you mean 'fetch.envoy'?"
            ),
        ),
        (
            "[variants.default]",
            'X = "${args.BASE_VERSION}"\n[variants.default]',
            "targets.toml:19: args.X: unknown variable '${args.BASE_VERSION}'",
        ),
        (
            "${fetch.envoy}",
            "${args.BASE_VERSOIN}",
            (
                "targets.toml:26: images.pilot.args.proxy_version: unknown variable "
                "'${args.BASE_VERSOIN}'; did you mean 'args.BASE_VERSION'?"
            ),
        ),
        (
            "envoy:${fetch.envoy}",
            "for $5",
            (
                "targets.toml:26: images.pilot.args.proxy_version: a lone '$' in 'for $5'; "
                "write ${name}, or $$ for a dollar"
            ),
        ),
        (
            "args = { proxy_version",
            "args = { TARGETARCH",
            (
                "targets.toml:26: images.pilot.args.TARGETARCH: the platform decides it; "
                "use --platform, or leave it out"
            ),
        ),
        (
            "line = '",
            "json = 'x', line = '",
            "targets.toml:18: args.BASE_VERSION: give either json or line",
        ),
        (
            'replaces = ["registry.example.com/base"]',
            'replaces = ["UPPER"]',
            "targets.toml:14: bases.plain.replaces: invalid image reference 'UPPER'",
        ),
        (
            'kind = "static"',
            'kind = "static"\nreplaces = ["registry.example.com/base"]',
            (
                "targets.toml:17: bases.other.replaces: registry.example.com/base "
                "is replaced by bases.plain too"
            ),
        ),
        (
            'base = { plain = "other" }',
            'base = { plain = "otter" }',
            "variants.distroless.base: unknown base 'otter'; did you mean 'other'?",
        ),
        (
            'suffix = ""',
            'suffix = "a/b"',
            "targets.toml:20: variants.default.suffix: 'a/b' cannot end a tag",
        ),
        (
            'suffix = ""',
            'suffix = "distroless"',
            (
                "targets.toml:21: variants.distroless: 'default' has the same tags; "
                "give one of them another suffix"
            ),
        ),
        (
            "[images.pilot]",
            '[images.pilot]\nvariants = ["distrolles"]',
            (
                "targets.toml:25: images.pilot.variants: unknown variant 'distrolles'; "
                "did you mean 'distroless'?"
            ),
        ),
        (
            "[images.pilot]",
            "[images.pilot]\nvariants = []",
            "targets.toml:25: images.pilot.variants: no variant; write false for none",
        ),
        (
            "[images.pilot]",
            '[images.pilot-distroless]\ndockerfile = "tree/pilot/Dockerfile"\n[images.pilot]',
            "targets.toml:24: images.pilot-distroless: 'pilot' has the variant 'distroless'",
        ),
        (
            'platforms = ["linux/amd64"]',
            'platforms = ["linux/amd64"]\nvariants = ["debug"]',
            "matrix.variants: unknown variant 'debug'",
        ),
    ],
)
def test_a_mistake_is_told_with_place_what_and_fix(
    before: str, after: str, expected: str, root: Path
) -> None:
    assert expected in complaint(root, before, after)
