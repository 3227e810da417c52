"""The files of a release, from what its units made and from the commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath

from msgspec import Struct

from buildkit.attest.buildinfo import read_build_info
from buildkit.config.check_release import archive_platforms
from buildkit.config.commands import split_output
from buildkit.config.interpolate import interpolate
from buildkit.config.release_model import ReleaseArchive
from buildkit.errors import BuildError
from buildkit.execute.outcomes import Outcome
from buildkit.pipeline.planning import Planned
from buildkit.pipeline.release_programs import program_path
from buildkit.pipeline.signing import Signing
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.command_files import command_files
from buildkit.plan.units import (
    Artifact,
    BuildImage,
    BuildPackage,
    Kind,
    RunCommand,
    Unit,
    unit_id,
)
from buildkit.platform import Platform
from buildkit.release.archive import Entry, gzipped, walk
from buildkit.release.assemble import (
    PACKAGE,
    SOURCE,
    Piece,
    archive_piece,
    copy_piece,
    text_piece,
)
from buildkit.release.changelog import changelog
from buildkit.release.documents import CHANGELOG_FILE
from buildkit.release.generate import printed
from buildkit.release.licenses import ModuleVersion, license_entries, standard_license
from buildkit.release.refusals import Terms
from buildkit.vcs import History, write_commit

_RPM_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i386"}
"""What RPM calls them; the others have Go's names."""


class Made(Struct, frozen=True, kw_only=True):
    """What a release is made of.

    Attributes:
        planned: the plan and its tools.
        terms: version, commit and time.
        history: tags and changes.
        units: each unit that was made, with its artifact, by id.
        signing: who signs it; None where nobody does.
    """

    planned: Planned
    terms: Terms
    history: History
    units: Mapping[str, tuple[Unit, Artifact]]
    signing: Signing | None = None

    @classmethod
    def of(
        cls,
        planned: Planned,
        outcomes: tuple[Outcome, ...],
        terms: Terms,
        history: History,
        signing: Signing | None = None,
    ) -> Made:
        """Take the outcomes of a run in which nothing failed."""
        units = {
            item.unit.id: (item.unit, item.artifact)
            for item in outcomes
            if item.artifact is not None
        }
        return cls(planned=planned, terms=terms, history=history, units=units, signing=signing)

    @property
    def shop(self) -> Workshop:
        """The run."""
        return self.planned.shop

    def of_kind(self, *kinds: Kind) -> Iterator[tuple[Unit, Artifact]]:
        """Yield the units of some kinds that were made."""
        return (item for item in self.units.values() if item[0].kind in kinds)


def pieces(made: Made) -> tuple[Piece, ...]:
    """Describe every file of a release but its documents.

    Raises:
        BuildError: a module has no license file, or a file cannot be in an archive.
    """
    release = made.shop.project.config.release
    found = [*_archives(made), *_packages(made)]
    text = changelog(made.terms.version, made.history.previous, made.history.changes)
    found.append(text_piece(CHANGELOG_FILE, text))
    if release.source and _has_commit(made):
        found.append(_source(made))
    if release.licenses and (entries := _licenses(made)):
        path = f"{_prefix(made)}-licenses.tar.gz"
        found.append(archive_piece(path, entries, epoch=made.terms.epoch, platform="", contains=()))
    return tuple(found)


def archive_trees(made: Made) -> dict[str, str]:
    """Return the digest of each file and directory that archives take, by where it goes.

    What a command makes for one platform is left out: its unit has a digest of its own, and
    all parts of a release have to say the same.
    """
    shop = made.shop
    return {
        f"{name}/{place}": shop.hasher.tree(_file_place(made, file, None)) or "missing"
        for name, archive in shop.project.config.release.archives.items()
        for place, file in archive.files.items()
        if not _is_of_platform(made, file)
    }


def _is_of_platform(made: Made, file: str) -> bool:
    command, _ = split_output(file)
    return bool(command) and made.shop.project.config.command[command].platforms is not None


def _command_unit(made: Made, file: str, platform: Platform | None) -> str:
    """Return the unit that makes a file of an archive; empty for one of the tree."""
    command, _ = split_output(file)
    own = platform if _is_of_platform(made, file) else None
    return unit_id(Kind.COMMAND, command, own) if command else ""


def _file_place(made: Made, file: str, platform: Platform | None) -> Path:
    """Return where a file of an archive lies."""
    if not (identity := _command_unit(made, file, platform)):
        return made.shop.project.root / file
    action = made.units[identity][0].action
    if not isinstance(action, RunCommand):
        raise TypeError(identity)
    return action.folder / split_output(file)[1]


def used_files(made: Made) -> tuple[frozenset[str], tuple[Path, ...]]:
    """Return what a release is made of: files relative to the source, and files or directories.

    Compiles say it themselves; of images, packages, commands and archives it is what
    targets.toml names. What commands make of that is made by whoever makes the release.
    """
    shop, book = made.shop, made.shop.book
    records = (book.get(unit.id) for unit, _ in made.of_kind(Kind.BINARY))
    keys = frozenset(key for record in records if record for key in record.sources)
    found = (directory for key in keys if (directory := book.directory(key)))
    files = frozenset(f"{item.path}/{name}".strip("/") for item in found for name, _ in item.files)
    named = [
        need.removeprefix("file:")
        for unit, _ in made.units.values()
        if isinstance(unit.action, BuildImage | BuildPackage)
        for _, need in _contents(unit.action)
        if need.startswith("file:")
    ]
    config, source = shop.project.config.release, shop.project.source
    files_of = (file for archive in config.archives.values() for file in archive.files.values())
    named += [file for file in files_of if not split_output(file)[0]]
    commands = [u.action for u, _ in made.units.values() if isinstance(u.action, RunCommand)]
    named += [str(path) for action in commands for _, path in command_files(action)]
    outputs = {action.folder / name for action in commands for name in action.outputs}
    places = (shop.project.root / name for name in named)
    return (
        frozenset(name for name in files if not _is_below(source / name, outputs)),
        tuple(place for place in places if not _is_below(place, outputs)),
    )


def _is_below(path: Path, places: AbstractSet[Path]) -> bool:
    return not places.isdisjoint((path, *path.parents))


def _contents(action: BuildImage | BuildPackage) -> tuple[tuple[str, str], ...]:
    return action.context if isinstance(action, BuildImage) else action.contents


def _archives(made: Made) -> Iterator[Piece]:
    config = made.shop.project.config
    for archive in config.release.archives.values():
        for name in archive_platforms(config, archive):
            platform = Platform.parse(name)
            if platform not in made.shop.settings.platforms:
                continue
            for form in archive.formats:
                yield _archive(made, archive, platform, form)


def _archive(made: Made, archive: ReleaseArchive, platform: Platform, form: str) -> Piece:
    values = _values(made, platform)
    folder = PurePosixPath(interpolate(archive.folder, values))
    entries, contains = [], []
    for name, place in archive.binaries.items():
        kind = Kind.BINARY if name in made.shop.project.config.binaries else Kind.FETCH
        unit, artifact = made.units[unit_id(kind, name, platform)]
        contains.append(unit.id)
        inside = f"{folder / place}{platform.executable_suffix}"
        entries.append(Entry(name=inside, path=artifact.path, executable=True))
    for place, words in archive.generated.items():
        entries.append(Entry(name=str(folder / place), data=_printed(made, words)))
    for place, file in archive.files.items():
        entries += walk(str(folder / place), _file_place(made, file, platform))
        contains.append(_command_unit(made, file, platform))
    return archive_piece(
        f"{interpolate(archive.name, values)}.{form}",
        entries,
        epoch=made.terms.epoch,
        platform=str(platform),
        contains=dict.fromkeys(filter(None, contains)),
    )


def _printed(made: Made, words: tuple[str, ...]) -> bytes:
    binary, *arguments = words
    program, runner = program_path(made.shop, binary), made.shop.processes
    return made.shop.answers.once(
        f"what {' '.join(words)} prints", lambda: printed(program, arguments, runner)
    )


def _values(made: Made, platform: Platform) -> dict[str, str]:
    config = made.shop.project.config
    names = config.release.names
    return {
        "version": made.terms.version,
        "project": config.project.name,
        "hub": config.project.release_hub,
        "os": names.get(platform.os, platform.os),
        "arch": names.get(platform.arch, platform.arch),
    }


def _packages(made: Made) -> Iterator[Piece]:
    for unit, artifact in made.of_kind(Kind.DEB, Kind.RPM):
        action, platform = unit.action, unit.platform
        if not isinstance(action, BuildPackage) or platform is None or artifact.path is None:
            raise AssertionError(unit.id)
        # As dpkg-name(1) and rpm name files; RPM has a release, which is 1 here.
        path = f"{unit.name}_{action.version}_{action.architecture}.deb"
        if unit.kind is Kind.RPM:
            arch = _RPM_ARCHITECTURES.get(action.architecture, action.architecture)
            path = f"{unit.name}-{action.version}-1.{arch}.rpm"
        yield copy_piece(path, PACKAGE, artifact.path, platform=str(platform), unit=unit.id)


def _has_commit(made: Made) -> bool:
    is_there = made.terms.commit_time > 0
    if not is_there or made.terms.dirty:
        made.shop.reporter.note(
            "no archive of the source: the tree is in no commit, or differs from it"
        )
    return is_there and not made.terms.dirty


def _source(made: Made) -> Piece:
    prefix = _prefix(made)

    def write(target: Path) -> None:
        with target.open("wb") as stream, gzipped(stream) as packed:
            write_commit(made.shop.project.source, packed, prefix)

    return Piece(path=f"{prefix}-source.tar.gz", type=SOURCE, write=write)


def _licenses(made: Made) -> tuple[Entry, ...]:
    modules = frozenset(_modules(made))
    if not modules:
        return ()
    shop = made.shop
    vendor = shop.project.source / "vendor"
    cache = Path(made.planned.makers.go.module_cache())
    known = shop.project.config.release.unlicensed
    entries = license_entries(modules, cache, vendor=vendor, known=known)
    go = made.planned.makers.go
    return (*entries, *standard_license(go.toolchain().goroot, go.release, known=known))


def _modules(made: Made) -> Iterator[ModuleVersion]:
    for unit, artifact in made.of_kind(Kind.BINARY):
        info = read_build_info(artifact.path) if artifact.path else None
        if info is None:
            raise BuildError(
                f"{unit.id} has no build information",
                details="The modules in it, and so their licenses, are not known.",
                resolution="Leave -buildinfo=false out of its ldflags.",
            )
        for module in info.modules:
            if not module.is_local:
                yield ModuleVersion(module.used.path, module.used.version)


def _prefix(made: Made) -> str:
    return f"{made.shop.project.config.project.name}-{made.terms.version}"
