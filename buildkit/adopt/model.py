"""What the readers of a foreign tree find: frozen values, with the reasons and the doubts."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class Binary(Struct, frozen=True, kw_only=True):
    """A main package.

    Attributes:
        name: of the program.
        package: its path below the tree, beginning with ``./``.
        group: the compile group, empty for the default one.
        systems: the operating systems it exists for; empty for all.
        doubt: what may stand in the way of compiling it.
        left_out: why it is written as a comment only; empty for one that is built.
    """

    name: str
    package: str
    group: str = ""
    systems: tuple[str, ...] = ()
    doubt: str = ""
    left_out: str = ""


class Stamp(Struct, frozen=True, kw_only=True):
    """A string variable that the linker can set.

    Attributes:
        variable: import path and name, as ``-X`` takes it.
        text: what it is set to, with ``${...}``; empty where nothing fits.
        origin: the file that names it.
        found: whether the tree's own build sets it; otherwise it is only a candidate.
    """

    variable: str
    text: str
    origin: str
    found: bool


class FileValue(Struct, frozen=True, kw_only=True):
    """A value that stands in a file of the tree; see :class:`buildkit.config.model.FromFile`."""

    file: str
    json: str = ""
    line: str = ""


class VersionRule(Struct, frozen=True, kw_only=True):
    """Where the tree's version stands."""

    file: str = ""
    line: str = ""
    suffix: str = ""


class Prebuilt(Struct, frozen=True, kw_only=True):
    """A binary that the tree downloads instead of compiling it."""

    name: str
    version: FileValue
    base_url: str
    sources: tuple[Mapping[str, object], ...]
    """As ``[fetch.NAME] source`` takes them."""
    remark: str = ""


class Packaged(Struct, frozen=True, kw_only=True):
    """A package for Linux distributions.

    Attributes:
        binaries: what is compiled or fetched, and its path in the package.
        files: path in the package, and the path below the tree.
        config: as ``files``, for what users edit.
        scripts: when it runs, as ``[packages.NAME.scripts]`` has it, and the path below the tree.
        own_depends: dependencies that one format alone has.
        missing: paths in the package of what nothing here makes; it goes without them.
        left_out: why it is written as a comment only.
    """

    name: str
    description: str
    maintainer: str
    formats: tuple[str, ...]
    binaries: Mapping[str, str]
    files: Mapping[str, str]
    config: Mapping[str, str]
    scripts: Mapping[str, str]
    depends: tuple[str, ...]
    own_depends: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its files, as images copy them."""
        return tuple(f"{self.name}.{kind}" for kind in self.formats)


class Image(Struct, frozen=True, kw_only=True):
    """A container image from a Dockerfile of the tree.

    Attributes:
        dockerfile: below the tree.
        files: name in the build context, and the path below the tree.
        args: values of ARGs that this image alone has.
        variants: whether it differs between variants.
        left_out: why it is written as a comment only.
    """

    name: str
    dockerfile: str
    files: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict)
    variants: bool = True
    left_out: str = ""


class Findings(Struct, frozen=True, kw_only=True):
    """Everything that was found out about a tree.

    Attributes:
        name: of the project.
        module: the path of its Go module.
        go: the version that go.mod asks for.
        go_limit: a specifier for what its modules allow beyond that, with the reason.
        undecided: what the reader has to decide, a sentence each.
    """

    name: str
    module: str
    go: str
    go_limit: tuple[str, str] = ("", "")
    release_hub: str = ""
    version: VersionRule = VersionRule()
    stamps: tuple[Stamp, ...] = ()
    tags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    binaries: tuple[Binary, ...] = ()
    prebuilt: tuple[Prebuilt, ...] = ()
    args: Mapping[str, str | FileValue] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    packages: tuple[Packaged, ...] = ()
    images: tuple[Image, ...] = ()
    undecided: tuple[str, ...] = ()
