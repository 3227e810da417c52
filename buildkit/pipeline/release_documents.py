"""Fills the directory of a release: its files, its images, and the documents that name them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from buildkit import __version__
from buildkit.build.stamps import holds_text
from buildkit.collection import read_limit
from buildkit.config.lock import lock_path
from buildkit.config.model import Base
from buildkit.digest import Digest
from buildkit.oci.layout import Layout
from buildkit.pipeline.release_pieces import Made, archive_trees, pieces
from buildkit.pipeline.release_proofs import ReleaseProofs, proof_pieces
from buildkit.plan.sink_units import layout_folder
from buildkit.plan.units import (
    Artifact,
    AssembleBase,
    BuildPackage,
    Download,
    Kind,
    Unit,
    WriteLayout,
    image_name,
)
from buildkit.release.assemble import check_pieces, write_documents, write_pieces
from buildkit.release.budget import Weight, check_budgets
from buildkit.release.documents import (
    LAYOUT_FOLDER,
    SCHEMA,
    ZLIB,
    FileEntry,
    ImageEntry,
    ReleaseDocument,
    SourceEntry,
    ToolEntry,
    UnitEntry,
    inputs_digest,
)
from buildkit.release.layout import copy_images, layers_size, platform_manifests
from buildkit.release.sealing import seal

_FILES = (f"{Kind.BINARY}/", f"{Kind.FETCH}/", f"{Kind.COMMAND}/")
_KINDS = (
    Kind.BINARY,
    Kind.FETCH,
    Kind.COMMAND,
    Kind.BASE,
    Kind.IMAGE,
    Kind.DEB,
    Kind.RPM,
)
"""Kinds of units that belong to one platform; the layout's images are listed as such."""


def outline(made: Made) -> ReleaseDocument:
    """Return what is known of a release before its files are written."""
    shop, terms = made.shop, made.terms
    outlined = ReleaseDocument(
        schema_version=SCHEMA,
        project=shop.project.config.project.name,
        version=terms.version,
        snapshot=terms.snapshot,
        shard=shop.options.shard or "",
        previous_tag=made.history.previous,
        source=SourceEntry(
            revision=terms.revision,
            tag=terms.tag,
            dirty=terms.dirty,
            time=terms.commit_time,
            url=shop.project.config.project.url,
        ),
        epoch=terms.epoch,
        platforms=tuple(map(str, shop.settings.platforms)),
        configuration=_configuration(made),
        pins=dict(sorted(_pins(made))),
        tools=tuple(_tools(made)),
        units=(),
        images=(),
        files=(),
        signer=made.signing.name if made.signing else "",
        decided=_decided(made),
        inputs="",
    )
    units = {unit.id: artifact.digest for unit, artifact in _listed(made)}
    inputs = inputs_digest(outlined, units, outlined.tools)
    return msgspec.structs.replace(outlined, inputs=inputs)


def _decided(made: Made) -> str:
    config = made.shop.project.config
    value = {
        "project": msgspec.to_builtins(config.project),
        "release": msgspec.to_builtins(config.release),
        "hubs": [place.hub.text for place in made.shop.settings.destinations],
        "trees": archive_trees(made),
        "changes": [made.history.previous, *(item.revision for item in made.history.changes)],
    }
    return str(Digest.of_json(value))


def fill(folder: Path, made: Made, outlined: ReleaseDocument) -> ReleaseDocument:
    """Write a whole release into an empty directory.

    Raises:
        BuildkitError: something of it cannot be had, or is too large.
        OSError: it cannot be written.
    """
    found = pieces(made)
    check_pieces(found)
    check_budgets((*_binary_weights(made), *_image_weights(made)))
    images = _images(folder, made)
    files = write_pieces(folder, found, made.shop.reporter.note)
    proven = (*files, *_prove(folder, made, files, images))
    files = tuple(sorted(proven, key=lambda file: file.path))
    whole = msgspec.structs.replace(outlined, units=tuple(_units(made)), images=images, files=files)
    document = write_documents(folder, whole)
    if made.signing is not None:
        seal(folder, document, made.signing.signer)
    return document


def _prove(
    folder: Path, made: Made, files: tuple[FileEntry, ...], images: tuple[ImageEntry, ...]
) -> tuple[FileEntry, ...]:
    """Write SBOMs, then what is said about all files with them."""
    about = ReleaseProofs.of(made, folder)
    wants_sboms = made.shop.project.config.release.sboms
    manifests = tuple(about.manifests()) if wants_sboms else ()
    sboms = tuple(about.sboms(manifests)) if wants_sboms else ()
    made.shop.reporter.note(f"{len(sboms)} SBOMs and the provenance")
    written = write_pieces(folder, sboms, lambda _: None)
    provenance = about.provenance((*files, *written), images)
    pieces = tuple(proof_pieces(made.signing, provenance, images, manifests))
    return (*written, *write_pieces(folder, pieces, lambda _: None))


def _images(folder: Path, made: Made) -> tuple[ImageEntry, ...]:
    names = {name: unit.name for unit, action in _layouts(made) for name in action.references}
    if not names:
        return ()
    source = Layout.open(layout_folder(made.shop.settings))
    made.shop.reporter.note(f"{LAYOUT_FOLDER}/ ({len(names)} images)")
    return copy_images(source, names, folder / LAYOUT_FOLDER)


def _layouts(made: Made) -> Iterator[tuple[Unit, WriteLayout]]:
    for unit, _ in made.of_kind(Kind.LAYOUT):
        if isinstance(unit.action, WriteLayout):
            yield unit, unit.action


def _binary_weights(made: Made) -> Iterator[Weight]:
    binaries = made.shop.project.config.binaries
    for unit, artifact in made.of_kind(Kind.BINARY):
        if text := binaries[unit.name].max_size:
            yield Weight(name=unit.id, size=artifact.size, limit=_limit(text))


def _image_weights(made: Made) -> Iterator[Weight]:
    for unit, action in _layouts(made):
        text = made.shop.project.config.images[image_name(unit.name)].max_size
        if not text:
            continue
        layout = Layout.open(layout_folder(made.shop.settings))
        entry = layout.find(action.references[0])
        for manifest in platform_manifests(layout, entry) if entry else ():
            yield Weight(
                name=f"{Kind.IMAGE}/{unit.name}@{manifest.platform}",
                size=layers_size(layout, manifest),
                limit=_limit(text),
            )


def _limit(text: str) -> int:
    return read_limit(text, "max_size") or 0


def _listed(made: Made) -> Iterator[tuple[Unit, Artifact]]:
    # A command that runs once belongs to no part of a release, and each part runs it.
    return (item for item in made.of_kind(*_KINDS) if item[0].platform is not None)


def _units(made: Made) -> Iterator[UnitEntry]:
    for unit, artifact in sorted(_listed(made), key=lambda item: item[0].id):
        yield UnitEntry(
            id=unit.id,
            digest=artifact.digest,
            size=artifact.size,
            holds=_held(unit),
            stamped=_holds_version(unit, artifact, made.terms.version),
        )


def _held(unit: Unit) -> tuple[str, ...]:
    # A binary needs commands for its sources.
    needs = unit.needs if unit.kind is not Kind.BINARY else ()
    return tuple(need for need in needs if need.startswith(_FILES))


def _holds_version(unit: Unit, artifact: Artifact, version: str) -> bool:
    if unit.kind is not Kind.BINARY or artifact.path is None:
        return False
    return holds_text(artifact.path, version)


def _configuration(made: Made) -> dict[str, str]:
    project, hasher = made.shop.project, made.shop.hasher
    paths = (*project.files, lock_path(project.targets))
    return {path.name: digest for path in paths if (digest := hasher.digest(path))}


def _pins(made: Made) -> Iterator[tuple[str, str]]:
    for unit, artifact in made.units.values():
        match unit.action:
            case Download(sources=sources, override=None):
                for source, pin in sources:
                    yield f"{unit.id} from {source.wheel or source.url}", f"sha256:{pin.sha256}"
            case Download():
                yield unit.id, artifact.digest
            case AssembleBase(base=Base(kind="bootstrap")):
                yield unit.id, artifact.digest
            case AssembleBase(packages=packages, digest=digest):
                if digest:
                    yield unit.id, digest
                for package in packages:
                    yield f"{unit.id} {package.name} {package.version}", f"sha256:{package.sha256}"
            case _:
                pass


def _tools(made: Made) -> Iterator[ToolEntry]:
    yield ToolEntry(name="meshwright", version=__version__)
    yield ToolEntry(name="go", version=made.planned.makers.go.release.removeprefix("go"))
    # What deflate writes is up to it.
    yield ToolEntry(name=ZLIB, version=zlib.ZLIB_RUNTIME_VERSION)
    packagers = {
        unit.action.packager
        for unit, _ in made.of_kind(Kind.DEB, Kind.RPM)
        if isinstance(unit.action, BuildPackage)
    }
    for packager in sorted(packagers):
        name, _, version = packager.partition(" ")
        yield ToolEntry(name=name, version=version)
