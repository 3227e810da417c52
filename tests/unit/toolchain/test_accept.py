from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.errors import ConfigError
from buildkit.toolchain import Wanted, compare_versions, read_wanted

_TEXT = """
    1.16.15 1.17beta1 1.17rc2 1.17 1.17.13 1.20rc1 1.20 1.20.14 1.21 1.21rc2 1.21.0 1.21.13
    1.26 1.26rc1 1.26.0 1.26.8 1.27rc1 1.27.0 1.100.0 2.0
"""
ORDERED = tuple(_TEXT.split())


@given(*[st.integers(0, len(ORDERED) - 1)] * 2)
def test_versions_sort_as_go_sorts_them(left: int, right: int) -> None:
    order = compare_versions(ORDERED[left], ORDERED[right])
    assert (order > 0) - (order < 0) == (left > right) - (left < right)


def test_below_go_1_21_a_release_and_its_dot_zero_are_one() -> None:
    assert compare_versions("1.20", "1.20.0") == 0
    assert compare_versions("1.21", "1.21.0") < 0


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(ValueError, match="not a Go version"):
        compare_versions("latest", "1.26")


@pytest.mark.parametrize(
    ("text", "minimum"),
    [
        ("module m\n\ngo 1.25.0\n", "1.25.0"),
        ("module m\n\ngo 1.25.0\n\ntoolchain go1.26.1\n", "1.26.1"),
        ("module m\ngo 1.26.2 // comment\ntoolchain go1.25.1\n", "1.26.2"),
        ("module m\ngo 1.24\ntoolchain default\n", "1.24"),
        ("module m\n// go 1.99\n", ""),
        ("module m\nrequire (\n\tgo.example/x v1.99.0\n)\n", ""),
    ],
)
def test_the_minimum_is_the_newer_of_go_and_toolchain_line(
    tmp_path: Path, text: str, minimum: str
) -> None:
    (tmp_path / "go.mod").write_text(text)
    assert read_wanted(tmp_path, "").minimum == minimum


def test_a_workspace_above_the_module_counts_too(tmp_path: Path) -> None:
    source = tmp_path / "mesh" / "pilot"
    source.mkdir(parents=True)
    (tmp_path / "go.work").write_text("go 1.26.3\nuse ./mesh\n")
    (tmp_path / "mesh" / "go.mod").write_text("module m\ngo 1.25.0\n")
    wanted = read_wanted(source, ">=1.24")
    assert wanted == Wanted(minimum="1.26.3", origin="go.work", specifier=">=1.24")


@pytest.mark.parametrize(
    ("wanted", "version", "refusal"),
    [
        (Wanted(minimum="1.25.0", origin="go.mod"), "1.25.0", ""),
        (Wanted(minimum="1.25.0", origin="go.mod"), "1.24.9", "go.mod wants 1.25.0 or newer"),
        (Wanted(minimum="1.27", origin="go.mod"), "1.27rc1", ""),
        (Wanted(specifier=">=1.25,<1.27"), "1.26.8", ""),
        (
            Wanted(specifier=">=1.25,<1.27"),
            "1.27.0",
            "targets.toml ([go] version) wants >=1.25,<1.27",
        ),
        (Wanted(specifier="==1.17.*"), "1.17.13", ""),
        (Wanted(specifier=">=1.27rc1"), "1.27rc2", ""),
        (Wanted(), "1.2", ""),
    ],
)
def test_a_refusal_says_who_wants_what(wanted: Wanted, version: str, refusal: str) -> None:
    assert wanted.refusal(version) == refusal


def test_a_broken_specifier_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="no version specifier"):
        Wanted(specifier="newest").refusal("1.26.8")
