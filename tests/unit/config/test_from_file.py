"""Values that stand in files of the source tree, found exactly once or named as missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildkit.config.from_file import phrase, read_value, rule_problem
from buildkit.config.model import FromFile
from buildkit.errors import ConfigError

DEPS = [
    {"name": "PROXY_REPO_SHA", "repoName": "proxy", "file": "", "lastStableSHA": "abc"},
    {"name": "ZTUNNEL_REPO_SHA", "repoName": "ztunnel", "lastStableSHA": "def"},
    {"name": "TWICE", "n": 1},
    {"name": "TWICE", "n": 2},
]
MAKEFILE = """\
BASE_VERSION ?= master-2026
VERSION ?= 1.15-dev
# VERSION ?= 9
TWICE = 1
TWICE = 2
EMPTY =
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "istio.deps").write_text(json.dumps(DEPS))
    (tmp_path / "table.json").write_text('{"a": {"b-c": [1.5, true, null, ""]}}')
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "VERSION").write_text("\n 1.2.3 \nmore\n")
    (tmp_path / "empty").write_text("\n")
    return tmp_path


def read(tree: Path, file: str, **rule: str) -> str:
    return read_value(tree, FromFile(file=file, **rule), "targets.toml:3: fetch.envoy.version")


@pytest.mark.parametrize(
    ("file", "rule", "expected"),
    [
        ("istio.deps", {"json": "[name=PROXY_REPO_SHA].lastStableSHA"}, "abc"),
        ("istio.deps", {"json": '[name="ZTUNNEL_REPO_SHA"].lastStableSHA'}, "def"),
        ("istio.deps", {"json": "[1].repoName"}, "ztunnel"),
        ("table.json", {"json": "a.b-c[0]"}, "1.5"),
        ("table.json", {"json": ".a.b-c[0]"}, "1.5"),
        ("Makefile", {"line": r"VERSION \?= (\S+)"}, "1.15-dev"),
        ("Makefile", {"line": r"(?:BASE_VERSION) \?= master-(\d+)"}, "2026"),
        ("VERSION", {}, "1.2.3"),
    ],
)
def test_a_value_is_found(tree: Path, file: str, rule: dict[str, str], expected: str) -> None:
    assert read(tree, file, **rule) == expected


@pytest.mark.parametrize(
    ("file", "rule", "what"),
    [
        ("none", {}, "none cannot be read from the source tree"),
        ("empty", {}, "empty is empty"),
        ("Makefile", {"json": "a"}, "Makefile is no JSON"),
        ("istio.deps", {"json": "[name=PROXY].x"}, r"istio\.deps: there is no \[name=PROXY\]"),
        ("istio.deps", {"json": "[name=TWICE].n"}, r"2 items match \[name=TWICE\]"),
        ("istio.deps", {"json": "[9].n"}, r"there is no \[9\]"),
        ("istio.deps", {"json": "name"}, "there is no name"),
        ("istio.deps", {"json": "[0].sha"}, r"istio\.deps \[0\]: there is no \.sha"),
        ("istio.deps", {"json": "[0]"}, "is no text or number"),
        ("istio.deps", {"json": "[0].file"}, "is no text or number"),
        ("table.json", {"json": "a.b-c[1]"}, "is no text or number"),
        ("table.json", {"json": "a.b-c[2]"}, "is no text or number"),
        ("table.json", {"json": "a.b-c[0].d"}, r"there is no \.d"),
        ("Makefile", {"line": r"NONE=(.*)"}, "no whole line matches"),
        ("Makefile", {"line": r"\?= (\S+)"}, "no whole line matches"),
        ("Makefile", {"line": r"TWICE = (\d)"}, "lines 4, 5 match"),
        ("Makefile", {"line": r"EMPTY =(.*)"}, "the group of the match is empty"),
    ],
)
def test_what_is_missing_or_doubled_is_named(
    tree: Path, file: str, rule: dict[str, str], what: str
) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        read(tree, file, **rule)
    assert caught.value.brief.startswith("targets.toml:3: fetch.envoy.version: ")


def test_a_list_says_what_it_has(tree: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tree, "istio.deps", json="[name=PROXY].lastStableSHA")
    assert "PROXY_REPO_SHA, ZTUNNEL_REPO_SHA" in caught.value.details


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"json": "a", "line": "(b)"}, "give either json or line"),
        ({"json": "a b"}, "is no path"),
        ({"json": "[name]"}, "is no path"),
        ({"line": "("}, "is no regular expression"),
        ({"line": "a"}, "exactly one group"),
        ({"line": "(a)(b)"}, "exactly one group"),
    ],
)
def test_a_rule_that_cannot_be_is_found_without_the_file(
    rule: dict[str, str], problem: str
) -> None:
    assert problem in rule_problem(FromFile(file="x", **rule))


def test_rules_that_can_be() -> None:
    for rule in ({}, {"json": "[name=A].b"}, {"line": "v=(.*)"}):
        assert rule_problem(FromFile(file="x", **rule)) == ""


def test_the_plan_says_where_it_stands() -> None:
    assert phrase(FromFile(file="VERSION")) == "the file VERSION"
    assert phrase(FromFile(file="d", json="[0].a")) == "[0].a in d"
    assert phrase(FromFile(file="m", line="V=(.*)")) == "the line V=(.*) of m"
