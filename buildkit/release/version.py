"""What may be the version of a release: https://semver.org/spec/v2.0.0.html."""

from __future__ import annotations

import re

from buildkit.errors import UsageError

# The expression that semver.org suggests, in its named form.
_SEMVER = re.compile(
    r"(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)\.(?P<patch>0|[1-9]\d*)"
    r"(?:-(?P<prerelease>(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+(?P<build>[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)


def release_version(text: str, origin: str) -> str:
    """Return a version without a leading ``v``.

    Raises:
        UsageError: it is no semantic version, or has build metadata, which no tag can hold.
    """
    if not is_version(text):
        raise UsageError(
            f"'{text}' is no version for a release",
            details=f"It comes from {origin}; a release needs three numbers, as 1.2.3 or "
            "1.3.0-rc.1 (https://semver.org).",
            resolution="Give --version 1.2.3, or tag the commit: git tag v1.2.3.",
        )
    metadata = text.partition("+")[2]
    if metadata:
        raise UsageError(
            f"'{text}' cannot be the tag of an image",
            details=f"It comes from {origin}; tags have no '+'.",
            resolution=f"Leave '+{metadata}' out.",
        )
    return text.removeprefix("v")


def is_version(text: str) -> bool:
    """Tell whether it is a semantic version, with or without a leading ``v``."""
    return _SEMVER.fullmatch(text.removeprefix("v")) is not None


def is_prerelease(version: str) -> bool:
    """Tell whether a version comes before the one that has its three numbers."""
    match = _SEMVER.fullmatch(version)
    return match is not None and match["prerelease"] is not None
