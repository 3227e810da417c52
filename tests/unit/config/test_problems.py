"""Where something is wrong, and what was probably meant."""

from __future__ import annotations

import pytest

from buildkit.config.problems import Origins, Page, Problems, line_of, near_miss
from buildkit.errors import ConfigError

TEXT = """\
schema_version = 1
[project]
name = "mesh"

[images.proxyv2]   # the sidecar
base = ["debian"]
files = { "a" = "b" }
[images."odd.name"]
base = []

[[smoke.steps]]
title = "one"
[[smoke.steps]]
title = "two"
[smoke.steps.copy.proxy]
"/etc/x" = "y"
[stamps]
"example.com/mesh/v.version" = "1"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("schema_version", 1),
        ("project.name", 3),
        ("images.proxyv2", 5),
        ("images.proxyv2.base", 6),
        ("images.proxyv2.hub", 5),
        ("images.proxyv2.files.a", 7),
        ('images."odd.name".base', 9),
        ("smoke.steps[0]", 11),
        ("smoke.steps[0].title", 12),
        ("smoke.steps[1]", 13),
        ("smoke.steps[1].seconds", 13),
        ("smoke.steps[1].copy.proxy", 15),
        ('stamps."example.com/mesh/v.version"', 18),
        ("matrix.platforms", None),
    ],
)
def test_a_path_is_found_at_its_line_or_at_its_nearest_parent(path: str, line: int | None) -> None:
    assert line_of(TEXT, path) == line


def test_elements_of_an_inline_array_are_at_the_line_of_their_key() -> None:
    assert line_of('[fetch.envoy]\nversion = "1"\nsource = [{}, {}]', "fetch.envoy.source[1]") == 3


def test_a_near_miss_is_named() -> None:
    assert near_miss("pilto", ["pilot", "proxyv2"]) == "did you mean 'pilot'?"


def test_without_a_near_miss_the_known_names_are_listed() -> None:
    assert near_miss("zzz", ["pilot", "app"]) == "known: app, pilot"
    assert near_miss("zzz", []) == "none is defined"


def test_all_problems_are_raised_together_with_place_what_and_fix() -> None:
    problems = Problems("targets.toml", TEXT)
    problems.add("project.name", "is odd", "choose another")
    problems.add("matrix", "is missing")
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any()
    assert caught.value.brief == "targets.toml has 2 errors"
    assert caught.value.details.splitlines() == [
        "targets.toml:3: project.name: is odd; choose another",
        "targets.toml: matrix: is missing",
    ]
    assert "nothing was started" in caught.value.resolution


def test_what_no_file_gives_is_mended_where_it_was_given() -> None:
    flag, variable = Page(file="--set"), Page(file="X in the environment")
    written = {("go",): flag, ("args", "X"): variable}
    main = Page(file="targets.toml", text=TEXT)
    problems = Problems(main.file, TEXT, origins=Origins(main=main, written=written))
    problems.add("go.cgo", "is odd")
    assert "--set has an error" in str(raised(problems))
    assert raised(problems).resolution.startswith("Mend what --set gives; `invoke check`")
    problems.add("args.X", "is odd")
    assert raised(problems).brief == "--set and X in the environment has 2 errors"
    problems.add("project.name", "is odd")
    assert raised(problems).brief == "targets.toml has 3 errors"
    assert raised(problems).resolution.startswith(
        "Mend the file and what --set gives and what X in the environment gives; "
    )


def raised(problems: Problems) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any()
    return caught.value


def test_the_values_of_one_page_are_named_without_their_tables() -> None:
    local, file = Page(file="local"), Page(file="targets.toml", text=TEXT)
    origins = Origins(
        main=file,
        written={
            ("registry",): local,
            ("registry", "hub"): local,
            ("registry", "push"): file,
            ("mirrors",): local,
            ("mirrors", "docker.io"): local,
        },
    )
    assert origins.keys_of("local") == ("registry.hub", 'mirrors."docker.io"')
    assert origins.keys_of("other") == ()


def test_one_problem_is_one_error() -> None:
    problems = Problems("targets.toml", "")
    problems.raise_if_any()
    problems.add("matrix", "is missing")
    with pytest.raises(ConfigError, match=r"targets\.toml has an error"):
        problems.raise_if_any()
