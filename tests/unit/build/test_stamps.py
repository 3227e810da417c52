"""Stamps as flags, and looked for in what the linker made."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.build.gosources import GoSources, read_listing
from buildkit.build.stamps import stamp_flag, stamp_problem
from buildkit.errors import ConfigError
from buildkit.plan.hashing import Hasher
from buildkit.plan.sources import SourceTree

PACKAGES = frozenset({"main", "example.com/v2/version"})
NAME = "example.com/v2/version.build"


def check(folder: Path, content: bytes, **stamps: str) -> str:
    path = folder / "app"
    path.write_bytes(content)
    return stamp_problem(path, {stamps.pop("name", NAME): stamps.pop("value", "1.2")}, PACKAGES)


def test_a_stamp_that_is_held_is_no_problem(tmp_path: Path) -> None:
    assert check(tmp_path, b"..1.2\0..") == ""


def test_a_missing_stamp_is_named_with_its_value(tmp_path: Path) -> None:
    found = check(tmp_path, b"nothing")
    assert found.startswith(f"lacks '1.2' in {NAME}: there is no such variable")


def test_the_same_text_among_other_strings_does_not_count(tmp_path: Path) -> None:
    assert check(tmp_path, b"dep\tgolang.org/x/net\tv1.2\th1:x\n")


def test_a_stamp_of_a_package_that_is_not_linked_does_not_concern_the_program(
    tmp_path: Path,
) -> None:
    assert check(tmp_path, b"", name="example.com/other.build") == ""
    assert check(tmp_path, b"", name="example.com/v2.version") == ""
    assert check(tmp_path, b"", name="main.version")


def test_an_empty_value_needs_no_bytes(tmp_path: Path) -> None:
    assert check(tmp_path, b"", value="") == ""


@pytest.mark.parametrize("before", [0, 1, (1 << 20) - 3, (1 << 20) - 1, (1 << 20)])
def test_a_stamp_is_found_wherever_a_block_ends(tmp_path: Path, before: int) -> None:
    assert check(tmp_path, b"x" * before + b"1.2\0" + b"y" * 10) == ""


def test_a_program_consists_of_its_dependencies_under_both_names() -> None:
    listing = (
        b'{\n"ImportPath": "example.com/v2/version",\n"Name": "version"\n}\n'
        b'{\n"ImportPath": "example.com/v2/cmd/app",\n"Name": "main",\n"Dir": "/src/cmd/app",\n'
        b'"Deps": ["fmt", "example.com/v2/version"]\n}\n'
    )
    found = GoSources.of(
        read_listing(listing), SourceTree(root="/src", hasher=Hasher({})), ""
    ).linked()
    expected = {"main", "fmt", "example.com/v2/version", "example.com/v2/cmd/app"}
    assert found == {"example.com/v2/cmd/app": expected, "cmd/app": expected}


def test_a_stamp_with_spaces_is_quoted_and_one_with_both_quotes_refused() -> None:
    assert stamp_flag("main.v", "1") == "-X=main.v=1"
    assert stamp_flag("main.v", "a 'b'") == "-X \"main.v=a 'b'\""
    with pytest.raises(ConfigError, match=r"the stamp main\.v cannot be passed"):
        stamp_flag("main.v", "a 'b' \"c\"")
