"""The version of a package: as .deb and .rpm both order it.

Both take letters, digits and ``. + ~``, and a ``~`` sorts before the end of a text, which is
what a pre-release needs (deb-version(7), https://rpm-software-management.github.io/rpm/man/
rpm-version.7). A hyphen is refused by RPM and would begin Debian's own revision.
"""

from __future__ import annotations

import re

from buildkit.errors import UsageError

_VERSION = re.compile(
    r"(?:v|[A-Za-z]+-)?"
    r"(?P<number>\d+(?:\.\d+)*)"
    r"(?:-(?!\d+-g[0-9a-f]{4,40}(?:-dirty)?(?:\+|$))(?P<pre>[0-9A-Za-z]+(?:[.-][0-9A-Za-z]+)*?))?"
    r"(?:-(?P<commits>\d+-g[0-9a-f]{4,40}(?:-dirty)?))?"
    r"(?:\+(?P<meta>[0-9A-Za-z]+(?:[.-][0-9A-Za-z]+)*))?"
)


def package_version(version: str) -> str:
    """Return a version for packages.

    ``1.2.3-rc.1`` is ``1.2.3~rc.1``, before 1.2.3; what `git describe` says of a commit after a
    tag, ``1.2.3-4-gabcdef``, is ``1.2.3+4.gabcdef``, behind it. A ``v`` or a word and a
    hyphen in front are left out, as in ``release-1.15``.

    Raises:
        UsageError: it is no such version, so that its order would be chance.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise UsageError(
            f"'{version}' is no version for a package",
            details="Package managers order versions: they need numbers first, as 1.2.3, then "
            "-rc.1 for a pre-release, -4-gabcdef as git describe adds it, or +text.",
            resolution="Name one with --version, or a tag that begins with a number.",
        )
    before = f"~{match['pre']}" if match["pre"] else ""
    behind = ".".join(filter(None, (match["commits"], match["meta"])))
    return (match["number"] + before + (f"+{behind}" if behind else "")).replace("-", ".")
