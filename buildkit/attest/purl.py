"""Package URLs, by which scanners find what is known about a package.

The format is that of github.com/package-url/purl-spec: percent-encoded, qualifiers sorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from buildkit.digest import Digest


def package_url(
    kind: str,
    name: str,
    version: str = "",
    *,
    qualifiers: Mapping[str, str] | None = None,
    subpath: str = "",
) -> str:
    """Return a package URL.

    Args:
        kind: the type, such as ``golang``.
        name: with its namespace in front, slashes between.
        version: nothing is written where it is empty.
        qualifiers: those without a value are left out.
        subpath: a place inside the package.
    """
    text = f"pkg:{kind}/{_path(name)}"
    if version:
        text += f"@{quote(version, safe=':')}"
    pairs = sorted((key, value) for key, value in (qualifiers or {}).items() if value)
    if pairs:
        text += "?" + "&".join(f"{key}={quote(value, safe=':/')}" for key, value in pairs)
    return f"{text}#{_path(subpath)}" if subpath else text


def golang(module: str, version: str = "", *, subpath: str = "") -> str:
    """Return the URL of a Go module, or of a package in it; its path is in lower case there."""
    return package_url("golang", module.lower(), version, subpath=subpath)


def generic(name: str, version: str, digest: Digest | None = None) -> str:
    """Return the URL of something that no package manager knows."""
    qualifiers = {"checksum": str(digest)} if digest else {}
    return package_url("generic", name, version, qualifiers=qualifiers)


def image(repository: str, digest: Digest, *, arch: str = "", tag: str = "") -> str:
    """Return the URL of an image's manifest; ``repository`` names its registry too."""
    name = repository.rpartition("/")[2]
    qualifiers = {"arch": arch, "repository_url": repository.lower(), "tag": tag}
    return package_url("oci", name.lower(), str(digest), qualifiers=qualifiers)


def _path(text: str) -> str:
    return "/".join(quote(part, safe=":") for part in text.split("/") if part)
