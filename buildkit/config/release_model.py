"""The tables of ``targets.toml`` for what leaves the machine as files, beside ``model``'s.

Packages, a release, and the places where it is published.
"""

from __future__ import annotations

from typing import Literal

from buildkit.config.table import Name, PlatformName, Table


class PackageScripts(Table, frozen=True, kw_only=True):
    """What the package manager runs as root; each is a path beside this file."""

    preinstall: str = ""
    postinstall: str = ""
    preremove: str = ""
    postremove: str = ""


class PackageFormat(Table, frozen=True, kw_only=True):
    """What one format has beside what all of them have."""

    depends: tuple[str, ...] = ()
    """In the format's own words: ``adduser (>= 3.1)`` for a .deb, ``shadow-utils >= 2`` for an
    .rpm. The glibc that programs need is added, unless it is named here."""
    recommends: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    files: dict[str, str] = {}
    """As the package's own."""


class Package(Table, frozen=True, kw_only=True):
    """A package for Linux distributions; all paths in it are absolute."""

    description: str
    """Its first line is the summary."""
    maintainer: str
    """Who answers for it, as ``Name <mail@example.com>``."""
    formats: tuple[Literal["deb", "rpm"], ...] = ("deb", "rpm")
    binaries: dict[Name, str] = {}
    """Compiled or fetched binary = path in the package."""
    files: dict[str, str] = {}
    """Path in the package = file beside this file; directories are copied whole."""
    config: dict[str, str] = {}
    """As ``files``, for what users edit: an upgrade keeps their changes."""
    directories: tuple[str, ...] = ()
    """Directories that it owns."""
    links: dict[str, str] = {}
    """Path in the package = where the symbolic link points to."""
    scripts: PackageScripts = PackageScripts()
    depends: tuple[str, ...] = ()
    """Packages that have one name everywhere, such as iptables."""
    section: str = "misc"
    """Debian's section and RPM's group."""
    deb: PackageFormat = PackageFormat()
    rpm: PackageFormat = PackageFormat()
    platforms: tuple[PlatformName, ...] | None = None
    """Default: the Linux platforms of the matrix."""


class ReleaseArchive(Table, frozen=True, kw_only=True):
    """A .tar.gz or .zip of a release, one for each platform."""

    name: str = "${project}-${version}-${os}-${arch}"
    """The file's name without the format."""
    formats: tuple[Literal["tar.gz", "zip"], ...] = ("tar.gz",)
    folder: str = ""
    """The directory in the archive that holds everything, as ``istio-${version}``."""
    binaries: dict[Name, str] = {}
    """Compiled or fetched binary = path in the archive, as ``bin/istioctl``."""
    files: dict[str, str] = {}
    """Path in the archive = file or directory beside this file, ``${source}/path``, or what
    a command makes, as ``${command.NAME}/OUTPUT``."""
    generated: dict[str, tuple[str, ...]] = {}
    """Path in the archive = what a compiled binary prints on the machine that makes the
    release, such as completions: ``["istioctl", "completion", "bash"]``."""
    platforms: tuple[PlatformName, ...] | None = None
    """Default: those of the matrix that all its binaries exist for."""


class ReleaseSign(Table, frozen=True, kw_only=True):
    """How `invoke release --sign` signs."""

    key: str = ""
    """The private key beside this file, as ``cosign.key``; its password is in COSIGN_PASSWORD."""
    legacy_tags: bool = False
    """Signatures of images under cosign's ``sha256-....sig`` and ``.att`` tags too."""


class Release(Table, frozen=True, kw_only=True):
    """What `invoke release` writes beside packages, images and documents."""

    archives: dict[Name, ReleaseArchive] = {}
    names: dict[str, str] = {}
    """What the names of archives call an operating system or architecture: ``darwin = "osx"``."""
    source: bool = True
    """An archive of the commit, below the source's directory."""
    licenses: bool = True
    """An archive of the license texts of all Go modules in the binaries."""
    unlicensed: tuple[str, ...] = ()
    """Modules that have no license file, and may."""
    license: bool | str = True
    """The project's own license: a file beside this file, or ``${source}/path``; true for a
    LICENSE or COPYING in the source or beside this file, false where there need be none."""
    images: bool = True
    """The images, as an OCI layout."""
    sboms: bool = True
    """An SBOM of every binary, package and platform's image."""
    sign: ReleaseSign = ReleaseSign()


class Publish(Table, frozen=True, kw_only=True):
    """One place that `invoke publish` moves a release to."""

    kind: Literal["registry", "directory", "put", "github"]
    default: bool = True
    """False for a place that is published to only where ``--to`` names it, as one to try."""
    hub: str = ""
    """For kind registry: where images go."""
    tags: tuple[str, ...] = ("${version}",)
    """Tags that are never moved once they are published."""
    channels: tuple[str, ...] = ()
    """Tags that name the newest release, such as ``latest``."""
    directory: str = ""
    """For kind directory, relative to this file, as ``/srv/releases/${version}``."""
    url: str = ""
    """For kind put: below what files are put, as ``https://files.example.com/${version}/``."""
    headers: dict[str, str] = {}
    """Sent with each request; ``${env.NAME}`` is a variable of the environment."""
    repository: str = ""
    """For kind github: ``owner/name``."""
    api: str = "https://api.github.com"
    """Another address of the API, for GitHub Enterprise."""
    token: str = "GITHUB_TOKEN"  # noqa: S105 - the name of a variable
    """The environment variable that holds the token."""
    draft: bool = False
    """Leave publishing the GitHub release to a person."""
