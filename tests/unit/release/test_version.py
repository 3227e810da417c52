from __future__ import annotations

import pytest

from buildkit.errors import UsageError
from buildkit.release.version import is_prerelease, release_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.2.3", "1.2.3"),
        ("v1.2.3", "1.2.3"),
        ("1.3.0-rc.1", "1.3.0-rc.1"),
        ("0.0.0-dev", "0.0.0-dev"),
        ("1.2.3-4-gabcdef0", "1.2.3-4-gabcdef0"),
    ],
)
def test_a_semantic_version_has_no_v(text: str, version: str) -> None:
    assert release_version(text, "--version") == version


@pytest.mark.parametrize("text", ["1.2", "1.02.3", "abcdef0", "vv1.2.3", "1.2.3-", "1.2.3-01", ""])
def test_what_is_no_version_is_refused_with_its_origin(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        release_version(text, "git describe")
    assert f"'{text}' is no version" in caught.value.brief
    assert "git describe" in caught.value.details
    assert "--version 1.2.3" in caught.value.resolution


def test_build_metadata_is_refused_since_no_tag_can_hold_it() -> None:
    with pytest.raises(UsageError) as caught:
        release_version("1.3.0-rc.1+build.7", "--version")
    assert "cannot be the tag" in caught.value.brief
    assert "--version" in caught.value.details
    assert "'+build.7'" in caught.value.resolution


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.2.3-rc.1", True), ("1.2.3", False), ("1.2.3+build-1", False), ("none", False)],
)
def test_a_prerelease_is_told_from_a_release(version: str, *, expected: bool) -> None:
    assert is_prerelease(version) is expected
