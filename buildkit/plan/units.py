"""Units of work as data: what is to be made, from what, for which platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from buildkit.config.lock import FilePin, PackagePin
from buildkit.config.model import Base, Image, Source
from buildkit.config.release_model import Package
from buildkit.platform import Platform


class Kind(StrEnum):
    """What a unit makes; the first part of its id."""

    BINARY = "binary"
    FETCH = "fetch"
    COMMAND = "command"
    BASE = "base"
    IMAGE = "image"
    PUSH = "push"
    LOAD = "load"
    LAYOUT = "layout"
    OCI_ARCHIVE = "oci-archive"
    DOCKER_ARCHIVE = "docker-archive"
    DEB = "deb"
    RPM = "rpm"


class EngineName(StrEnum):
    """Who builds an image."""

    AUTO = "auto"
    """The OCI engine where the Dockerfile allows it, else the daemon, by whichever of its
    builders can."""
    OCI = "oci"
    """The OCI engine, or an error."""
    DOCKER = "docker"
    """The daemon's classic builder."""
    BUILDX = "buildx"
    """The daemon's BuildKit, through the docker CLI."""


class ArchiveFormat(StrEnum):
    """How an image is saved as one file; the names are those of skopeo's transports."""

    OCI = "oci-archive"
    """An image layout in a tar, with every platform."""
    DOCKER = "docker-archive"
    """What ``docker load`` reads, of one platform."""


class Compile(Struct, frozen=True, kw_only=True):
    """Compile one main package; units of one ``group`` and platform share a `go build`."""

    group: str
    package: str
    source: Path
    output: Path
    toolchain: str
    """The release of Go, such as ``go1.26.8``."""
    workspace: str = ""
    """The go.work in force, relative to the source; empty where there is none."""
    tags: tuple[str, ...]
    ldflags: tuple[str, ...]
    gcflags: tuple[str, ...]
    cgo: bool
    compilers: tuple[Path, ...] = ()
    """The C compilers that cgo starts."""
    env: tuple[tuple[str, str], ...]
    trimpath: bool
    stamps: tuple[tuple[str, str], ...]
    """Go variable and value; a change of one rebuilds."""
    volatile_stamps: tuple[tuple[str, str], ...]
    """Go variable and text whose ``${git...}`` is filled in when the unit runs."""
    version_stamps: tuple[str, ...] = ()
    """The Go variables that are to hold the version, alone or in a longer text."""


class Override(Struct, frozen=True, kw_only=True):
    """A binary that the user gives in place of the pinned one; no lock vouches for it."""

    words: str
    """What the user wrote."""
    path: Path | None = None
    """The file; None where it is to be taken out of an image."""
    image: str = ""
    """The image of one platform: a reference with its digest, or an id of the daemon."""


class Download(Struct, frozen=True, kw_only=True):
    """Fetch one pinned binary; the first source that yields its pin wins."""

    name: str
    version: str
    sources: tuple[tuple[Source, FilePin], ...]
    override: Override | None
    """What the user gave instead; its machine type is still checked."""
    strip: bool
    output: Path
    base_url: str = ""
    """What ``${base_url}`` stands for in the sources; what is pinned is the same anywhere."""


class RunCommand(Struct, frozen=True, kw_only=True):
    """Start a program that makes declared outputs from declared inputs.

    ``argv`` and ``env`` hold ``${out}`` and the names of ``paths``, so that what they
    say is the same in every place.
    """

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    directory: Path
    where: str
    """The directory as targets.toml writes it."""
    inputs: tuple[tuple[str, Path], ...]
    """Each as targets.toml writes it, and the absolute path, which may be a glob."""
    outputs: tuple[str, ...]
    """Relative to ``folder``."""
    folder: Path
    """Where the outputs end: a directory of the command alone, or the source tree."""
    into_source: bool
    paths: tuple[tuple[str, Path], ...]
    """What ``${source}``, ``${binary.NAME}`` and ``${command.NAME}`` stand for."""
    log: Path


class AssembleBase(Struct, frozen=True, kw_only=True):
    """Make the one layer and the config of a base image."""

    name: str
    base: Base
    packages: tuple[PackagePin, ...]
    archive: str
    """The Debian archive's URL; empty where the layer is expected in the cache."""
    digest: str
    """For kind registry: the pinned manifest's digest."""
    assembler: str = ""
    """What assembles it, certificates and time zones included, by version."""


class BuildImage(Struct, frozen=True, kw_only=True):
    """Build an image for one platform from a template, or from a Dockerfile as it is."""

    name: str
    """As in the unit's id: the image, and its variant where that is no other's result."""
    image: Image
    template: Path
    is_template: bool = True
    """Whether it is rendered; if not, it is the Dockerfile itself."""
    base: str
    """The unit id of the base."""
    starts: tuple[tuple[str, str], ...] = ()
    """Names after FROM and --from= in a Dockerfile, each with the unit id of what it means."""
    args: tuple[tuple[str, str], ...] = ()
    """Values of the Dockerfile's ARGs."""
    context: tuple[tuple[str, str], ...]
    """Name in the build context and the unit id of the binary, or ``file:`` and its path."""
    variables: tuple[tuple[str, str], ...]
    """Stable template variables by dotted name."""
    labels: tuple[tuple[str, str], ...]
    """Label and value; a change of one rebuilds."""
    volatile_labels: tuple[tuple[str, str], ...]
    """Label and text whose ``${git...}`` and ``${created}`` are filled in when the unit runs."""
    engine: EngineName = EngineName.AUTO


class PushIndex(Struct, frozen=True, kw_only=True):
    """Push an image's platforms and name them by its tags, each an index of all of them."""

    name: str
    images: tuple[str, ...]
    """Unit ids of the platform images."""
    references: tuple[str, ...]
    compress: bool = False
    """Layers made here are gzipped."""
    no_clobber: bool = False
    """A tag that exists as something else is an error."""


class LoadImage(Struct, frozen=True, kw_only=True):
    """Put one platform of an image into the Docker daemon, under all its names."""

    name: str
    image: str
    """Unit id of the platform's image."""
    references: tuple[str, ...]


class WriteLayout(Struct, frozen=True, kw_only=True):
    """Write an image's platforms into an OCI image layout, under all its names."""

    name: str
    images: tuple[str, ...]
    """Unit ids of the platform images."""
    references: tuple[str, ...]
    folder: Path
    compress: bool


class SaveImage(Struct, frozen=True, kw_only=True):
    """Write an image as one file."""

    name: str
    images: tuple[str, ...]
    """Unit ids of the platform images; one for a docker-archive."""
    references: tuple[str, ...]
    format: ArchiveFormat
    output: Path
    compress: bool


class BuildPackage(Struct, frozen=True, kw_only=True):
    """Make one .deb or .rpm file; the unit's kind is the format."""

    name: str
    package: Package
    """Its texts have their variables filled in."""
    version: str
    """As both formats order it, see :func:`buildkit.plan.package_version.package_version`."""
    architecture: str
    """As nfpm names it."""
    contents: tuple[tuple[str, str], ...]
    """Path in the package and the unit id of the binary, or ``file:`` and its path."""
    scripts: tuple[tuple[str, Path], ...]
    """When it runs, as nfpm names it, and the file."""
    url: str
    licenses: str
    packager: str
    """What writes it, by version."""
    output: Path
    created: str = ""
    """The time of the commit where that counts as an input; it is in the package always."""


Action = (
    Compile
    | Download
    | RunCommand
    | AssembleBase
    | BuildImage
    | PushIndex
    | LoadImage
    | WriteLayout
    | SaveImage
    | BuildPackage
)


class Unit(Struct, frozen=True, kw_only=True):
    """One cell of the matrix: ``binary/pilot-discovery@linux/arm64``, ``push/pilot``."""

    kind: Kind
    name: str
    platform: Platform | None
    action: Action
    needs: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name of this unit in flags, logs, plan, report and JSON."""
        return unit_id(self.kind, self.name, self.platform)

    @property
    def output(self) -> Path | None:
        """The file that it makes in ``out/``; None for what makes none."""
        match self.action:
            case Compile(output=output) | Download(output=output):
                return output
            case _:
                return None

    @property
    def batch(self) -> str:
        """Units that share this run in one call of their builder."""
        if isinstance(self.action, Compile):
            # What has to wait for a command is not made with what the command may wait for.
            waits = "".join(f"+{need.partition('/')[2]}" for need in self.needs)
            return f"compile/{self.action.group or 'default'}{waits}@{self.platform}"
        return self.id


def image_name(unit_name: str) -> str:
    """Return the image that a unit is of: its name without the variant, ``pilot:distroless``."""
    return unit_name.partition(":")[0]


def file_stem(unit_name: str) -> str:
    """Return what files of an image's unit are called; some systems have no colon in names."""
    return unit_name.replace(":", "-")


def unit_id(kind: Kind, name: str, platform: Platform | None) -> str:
    """Return ``kind/name@os/arch``, or ``kind/name`` for what has no platform."""
    return f"{kind}/{name}@{platform}" if platform else f"{kind}/{name}"


class Verdict(StrEnum):
    """What the plan decided for a unit."""

    RUN = "RUN"
    CACHED = "CACHED"
    RESTORED = "RESTORED"
    """The same inputs gave it before, here or elsewhere; it comes from the user's cache."""
    SKIP = "SKIP"
    BLOCKED = "BLOCKED"
    """It was asked for and cannot be made here; the reason says what is missing."""


class Step(Struct, frozen=True, kw_only=True):
    """A unit with its verdict and the reason for it."""

    unit: Unit
    verdict: Verdict
    reason: str


class SourceDirectory(Struct, frozen=True, kw_only=True):
    """A directory that a compile read: which files, and which names could have mattered."""

    path: str
    """Relative to the source tree, with slashes; empty for single files, named like that."""
    pattern: str = ""
    """The go:embed pattern that ``names`` match; empty for the files of a package."""
    names: tuple[str, ...] = ()
    """Every entry that a compiler could take, sorted; one more or less is a change."""
    files: tuple[tuple[str, str], ...]
    """Name and sha256 of each file that was read."""
    excluded: tuple[tuple[str, str, str], ...] = ()
    """Name and sha256 of each file that build constraints leave out, and the sha256 of that
    part of it which decides so."""


class Artifact(Struct, frozen=True, kw_only=True):
    """What a unit made.

    ``digest`` is the sha256 of a file, a base's layer (DiffID), an image's id or
    a pushed index, as ``sha256:<hex>``. ``path`` is empty for what is no file;
    ``reference`` is an image's name in the daemon, or a pushed index's names.
    """

    unit: str
    digest: str
    size: int
    path: Path | None = None
    reference: tuple[str, ...] = ()
    sources: tuple[SourceDirectory, ...] | None = ()
    """What only the builder knows it read; None where it changed meanwhile, so that the
    next plan must not trust this artifact."""
    problem: str = ""
    """Why an image whose program this is must not be pushed, as the rest of a sentence."""
    peak_memory: int = 0
    """The bytes that making its batch took at most; 0 where nobody measured."""


Progress = Callable[[str], None]
"""Takes a short text on how far a unit is, such as ``12.3 of 35.0 MB``."""


class Builder(Protocol):
    """Makes the artifacts of one batch; keeps nothing between calls."""

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Make one artifact per step, in order, from those of the units it needs.

        Raises:
            BuildkitError: the batch failed; nothing half-written remains.
        """
        ...
