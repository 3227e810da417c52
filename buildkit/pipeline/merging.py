"""`invoke merge`: the parts that `release --shard` made on several machines, as one release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from buildkit.attest.provenance import merge_provenance
from buildkit.attest.statement import Statement, Subject
from buildkit.digest import Digest
from buildkit.errors import UsageError, VerificationError
from buildkit.pipeline.release_outputs import Released, published_before, read_previous, unit_rows
from buildkit.pipeline.release_proofs import kept_manifests, proof_pieces, release_subjects
from buildkit.pipeline.releasing import check_dist, check_untouched, dist_folder, report_release
from buildkit.pipeline.signing import Signing, read_signing
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.options import Options, split_list
from buildkit.platform import Platform
from buildkit.release.assemble import write_documents, write_pieces
from buildkit.release.dist import new_dist, read_dist
from buildkit.release.documents import FileEntry, ImageEntry, ReleaseDocument
from buildkit.release.merge import Part, merge_files, merge_images, merge_outline, order_parts
from buildkit.release.proofs import PROVENANCE
from buildkit.release.sealing import seal


def run_merge(options: Options, shards: str) -> None:
    """Join the parts of a release.

    Raises:
        UsageError: they are not all parts of one release.
        VerificationError: one was changed by hand, or the release that is to be replaced.
        SigningError: it is to be signed and cannot be.
    """
    shop = Workshop.open(options)
    signing = read_signing(shop.project, options, shop.environ)
    previous = read_previous(options.previous)
    check_dist(shop, signs=signing is not None)
    parts = order_parts(_read_parts(shop, split_list(shards)))
    folder = dist_folder(options, shop)
    with closing(shop.reporter):
        with new_dist(folder) as fresh:
            document = _fill(fresh, parts, signing)
        released = Released(
            folder=folder,
            document=document,
            is_new=True,
            rows=tuple(unit_rows(document)),
            previous=previous or published_before(shop.project, document),
        )
        report_release(shop, released)


def _read_parts(shop: Workshop, names: tuple[str, ...]) -> Iterator[Part]:
    if not names:
        raise UsageError("merge of nothing", resolution="Name the directories of the parts.")
    for name in names:
        folder = Path(name).expanduser()
        document = read_dist(folder)
        if document is None:
            raise UsageError(
                f"{folder} is no part of a release",
                resolution="Name the directory that `release --shard` wrote.",
            )
        check_untouched(folder, document, shop.hasher)
        yield folder, document


def _fill(folder: Path, parts: Sequence[Part], signing: Signing | None) -> ReleaseDocument:
    whole = merge_outline(parts, signing.name if signing else "")
    files = merge_files(folder, parts, epoch=whole.epoch, without=frozenset({PROVENANCE}))
    images = merge_images(folder, parts)
    provenance = _provenance(parts, files, images)
    manifests = tuple(kept_manifests(folder, images))
    pieces = tuple(proof_pieces(signing, provenance, images, manifests))
    files = (*files, *write_pieces(folder, pieces, lambda _: None))
    document = write_documents(folder, msgspec.structs.replace(whole, files=files, images=images))
    if signing is not None:
        seal(folder, document, signing.signer)
    return document


def _provenance(
    parts: Sequence[Part], files: Sequence[FileEntry], images: Sequence[ImageEntry]
) -> Statement:
    predicates, known = [], list(release_subjects(files, images))
    taken = {Digest(file.sha256) for file in files}
    try:
        for folder, document in parts:
            statement = msgspec.json.decode((folder / PROVENANCE).read_bytes())
            predicates.append((statement["predicate"], document.platforms))
            known += [item for item in _binaries(statement, document) if item.digest not in taken]
        return merge_provenance(predicates, dict.fromkeys(known))
    except (OSError, KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise VerificationError(
            "the provenance of a part cannot be read", details=str(error)
        ) from error


def _binaries(statement: dict[str, object], document: ReleaseDocument) -> Iterator[Subject]:
    """Yield the binaries that a part's provenance is about, which lie in archives."""
    slugs = {Platform.parse(name).slug for name in document.platforms}
    subjects = msgspec.convert(statement["subject"], list[dict[str, object]])
    for item in subjects:
        name = str(item.get("name", ""))
        if name.partition("/")[0] in slugs:
            digest = msgspec.convert(item["digest"], dict[str, str])["sha256"]
            yield Subject(name=name, digest=Digest(digest))
