"""Versions as .deb and .rpm order them."""

from __future__ import annotations

import pytest
from debian.debian_support import Version

from buildkit.errors import UsageError
from buildkit.plan.package_version import package_version


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.2.3", "1.2.3"),
        ("v1.2.3", "1.2.3"),
        ("release-1.15", "1.15"),
        ("1.15-dev", "1.15~dev"),
        ("1.2.3-rc.1", "1.2.3~rc.1"),
        ("1.2.3-alpha-2", "1.2.3~alpha.2"),
        ("1.2.3-4-gabcdef0", "1.2.3+4.gabcdef0"),
        ("1.2.3-4-gabcdef0-dirty", "1.2.3+4.gabcdef0.dirty"),
        ("1.2.3-rc.1-5-gabcdef0", "1.2.3~rc.1+5.gabcdef0"),
        ("1.2.3+build.5", "1.2.3+build.5"),
        ("1.2.3-rc.1-5-gabcdef0+x", "1.2.3~rc.1+5.gabcdef0.x"),
    ],
)
def test_a_version_becomes_one_for_packages(version: str, expected: str) -> None:
    assert package_version(version) == expected


@pytest.mark.parametrize(
    "version",
    ["latest", "8fa3bcd", "1.2_3", "1:2.3", "1.2.3~rc1", "1.2.3-", "", "1.2 3", "1.2;x", "$(x)"],
)
def test_what_has_no_order_is_refused(version: str) -> None:
    with pytest.raises(UsageError, match="is no version for a package"):
        package_version(version)


def test_they_come_in_the_order_in_which_they_were_made() -> None:
    made = ["1.2.3-alpha.1", "1.2.3-rc.1", "1.2.3-rc.1-2-gabcdef0", "1.2.3", "1.2.3-1-gabcdef0"]
    mapped = [package_version(version) for version in (*made, "1.2.4-dev", "1.2.4")]
    assert sorted(mapped, key=Version) == mapped
