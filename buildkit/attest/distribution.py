"""Components of Linux distributions, read from the databases that package managers keep.

dpkg's are deb822 files: one ``status``, or one file per package in ``status.d`` as in the
distroless images. apk's is ``installed``, blocks of one-letter fields.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from buildkit.attest.component import Component, Purpose
from buildkit.attest.purl import package_url

_SOURCE = re.compile(r"(\S+)(?: \((.+)\))?")


class Distribution(Struct, frozen=True, kw_only=True):
    """What ``os-release`` says: ``debian`` and ``13``; empty where there is none."""

    id: str = ""
    version: str = ""

    @classmethod
    def read(cls, os_release: str) -> Distribution:
        """Read os-release(5); lines that are none are passed over."""
        values = {}
        for line in os_release.splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.startswith("#"):
                values[name.strip()] = _unquoted(value)
        return cls(id=values.get("ID", ""), version=values.get("VERSION_ID", ""))

    @property
    def tag(self) -> str:
        """How package URLs name it: ``debian-13``."""
        return "-".join(part for part in (self.id, self.version) if part)


def dpkg_components(status: str, distribution: Distribution) -> Iterator[Component]:
    """Yield the installed packages of a dpkg status file, or of a control file alone."""
    for fields in _paragraphs(status):
        # A control file has no status; what is removed and keeps its settings has another one.
        is_installed = fields.get("Status", "installed").split()[-1:] == ["installed"]
        if is_installed and "Package" in fields and "Version" in fields:
            yield _deb(fields, distribution)


def apk_components(installed: str, distribution: Distribution) -> Iterator[Component]:
    """Yield the packages of apk's database."""
    for fields in _paragraphs(installed):
        if "P" in fields and "V" in fields:
            namespace = distribution.id or "alpine"
            qualifiers = {
                "arch": fields.get("A", ""),
                "distro": distribution.tag,
                "upstream": fields.get("o", "") if fields.get("o") != fields["P"] else "",
            }
            name = f"{namespace}/{fields['P']}"
            yield Component(
                name=fields["P"],
                purpose=Purpose.LIBRARY,
                version=fields["V"],
                purl=package_url("apk", name, fields["V"], qualifiers=qualifiers),
                comment=f"License: {fields['L']}" if fields.get("L") else "",
            )


def owned_paths(texts: Iterable[str]) -> frozenset[str]:
    """Return the paths that packages brought, of dpkg's ``.md5sums`` and ``.list`` files.

    Both spellings of what lies in a directory that is a link into /usr are among them.
    """
    found = set()
    for text in texts:
        for line in text.splitlines():
            path = line.rpartition("  ")[2].strip().removeprefix("./").removeprefix("/")
            found |= {path, f"usr/{path}"}
    return frozenset(found)


def _deb(fields: Mapping[str, str], distribution: Distribution) -> Component:
    name, version = fields["Package"], fields["Version"]
    namespace = distribution.id or "debian"
    qualifiers = {
        "arch": fields.get("Architecture", ""),
        "distro": distribution.tag,
        "upstream": _upstream(fields.get("Source", "")),
    }
    maintainer = " ".join(fields.get("Maintainer", "").split())
    return Component(
        name=name,
        purpose=Purpose.LIBRARY,
        version=version,
        purl=package_url("deb", f"{namespace}/{name}", version, qualifiers=qualifiers),
        supplier=f"Organization: {_organization(maintainer)}" if maintainer else "",
    )


def _upstream(source: str) -> str:
    """Return the source package as scanners want it: ``glibc``, or ``gcc-14@14.2.0-19``."""
    match = _SOURCE.fullmatch(source.strip())
    if match is None:
        return ""
    return f"{match[1]}@{match[2]}" if match[2] else match[1]


def _organization(maintainer: str) -> str:
    """Return ``Name (mail)``, SPDX's form of ``Name <mail>``."""
    name, _, mail = maintainer.partition("<")
    mail = mail.rstrip("> ")
    return f"{name.strip()} ({mail})" if mail else name.strip()


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        for line in block.splitlines():
            name, colon, value = line.partition(":")
            # Lines that begin with a space continue a field, none of those that count here.
            if colon and not line.startswith((" ", "\t")):
                fields.setdefault(name.strip(), value.strip())
        yield fields


def _unquoted(value: str) -> str:
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value.strip()
