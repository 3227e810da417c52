"""Executables are those that were built, for the machine that they are filed under."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.platform import Platform
from buildkit.verify.check import Check, compare, judge
from buildkit.verify.contents import Expected, check_contents
from buildkit.verify.members import Member
from tests.unit.build.elf import TEXT, make_elf

AMD = Platform("linux", "amd64")
APP, ARM = make_elf(TEXT), make_elf(TEXT, machine=183)
UNIT = "binary/app@linux/amd64"


def member(name: str, data: bytes, *, mode: int = 0o755, holds: bool = True) -> Member:
    return Member(name=name, mode=mode, digest=Digest.of_bytes(data), head=data, holds=holds)


def problems(members: Iterable[Member], *, others: bool = False) -> list[str]:
    expected = Expected(
        platform=AMD,
        units={UNIT: Digest.of_bytes(APP)},
        stamped=frozenset({UNIT}),
        others=others,
    )
    return [item.problem for item in check_contents("x", members, expected) if item.problem]


def test_what_was_built_is_as_it_should_be() -> None:
    assert problems([member("bin/app", APP), member("LICENSE", b"free", mode=0o644)]) == []
    assert problems([member("run.sh", b"#!/bin/sh\n"), member("app", APP)]) == []


def test_another_machine_is_named() -> None:
    (said,) = problems([member("app", APP), member("other", ARM)])
    assert said.startswith("other is ")
    assert "arm64" in said or "aarch64" in said.lower()


def test_an_executable_that_no_unit_made_is_named_unless_a_base_brings_it() -> None:
    shell = make_elf(TEXT, TEXT)
    members = [member("app", APP), member("bin/sh", shell)]
    assert problems(members) == [f"bin/sh is none that was built ({Digest.of_bytes(shell).short})"]
    assert problems(members, others=True) == []


def test_what_is_missing_or_unstamped_is_named() -> None:
    assert problems([]) == [f"the output of {UNIT} is not in it"]
    assert problems([member("app", APP, holds=False)]) == ["app lacks it"]


def test_many_problems_are_counted() -> None:
    members = [member("app", APP), *(member(f"arm{number}", ARM) for number in range(5))]
    (said,) = problems(members)
    assert said.endswith("and 2 more")


def test_all_that_is_wrong_is_one_error() -> None:
    checks = [compare("a", "size", 1, 1), compare("b", "size", 1, 2), compare("c", "name", "", "x")]
    judge("it", checks[:1])
    with pytest.raises(
        VerificationError, match="it is not what it should be: 2 checks fail"
    ) as told:
        judge("it", checks)
    assert "b: size: it is 1, expected 2\nc: name: it is nothing, expected x" in str(told.value)
    assert [check.state for check in checks] == ["ok", "problem", "problem"]
    assert Check(subject="a", compared="x").state == "ok"
