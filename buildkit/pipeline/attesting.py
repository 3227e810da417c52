"""`invoke attest`: SBOMs and provenance of what was made; with a key, signed and attached."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from buildkit.attest.bundle import envelope_bundle
from buildkit.attest.images import ImageAttester
from buildkit.attest.signer import Signer
from buildkit.attest.spdx import SUFFIX
from buildkit.attest.statement import Statement
from buildkit.digest import Digest
from buildkit.pipeline.attaching import attach, pushed_images
from buildkit.pipeline.holder import only_run
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.planning import Planned
from buildkit.pipeline.proofs import Products, Proofs
from buildkit.pipeline.report import print_json
from buildkit.pipeline.run import carry_out, judge, prepare
from buildkit.pipeline.signing import Signing, read_signing
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.options import Goal, Options
from buildkit.plan.units import Artifact
from buildkit.store import atomic_write

FOLDER = "attest"
"""Below ``out/``: a directory per platform, and the provenance of all."""
PROVENANCE = "provenance.json"
ENVELOPE = "provenance.intoto.jsonl"
BUNDLE = "provenance.sigstore.json"

_UNIT = "attest"
_COLUMNS = ("what", "platform", "digest", "file")


def run_attest(options: Options) -> None:
    """Build and push what is not there yet, then say what all of it is made of and how.

    Raises:
        SigningError: ``--key`` is given and cannot sign; nothing was started.
        BuildkitError: something could not be made, read or attached.
    """
    shop = Workshop.open(options)
    # Before anything is built: a release that cannot be signed should not take an hour to say so.
    signing = read_signing(shop.project, options, shop.environ)
    makers = Makers(shop)
    alone = only_run(shop.state, sys.argv, shop.reporter.note)
    with closing(shop.reporter), alone, shop.store.in_use():
        planned = prepare(shop, makers, frozenset({Goal.BUILD, Goal.DOCKER}))
        outcomes = carry_out(planned)
        judge(shop, planned.graph, outcomes)
        made = made_by(planned, (item.artifact for item in outcomes))
        _attest(shop, makers, made, signing)


def made_by(planned: Planned, artifacts: Iterable[Artifact | None]) -> Products:
    """Return what a run made or found made."""
    return Products(
        units={unit.id: unit for unit in planned.graph.units},
        artifacts={item.unit: item for item in artifacts if item is not None},
    )


def _attest(shop: Workshop, makers: Makers, made: Products, signing: Signing | None) -> None:
    proofs = Proofs(shop, made)
    pushed = pushed_images(makers, made)
    folder = shop.settings.out / FOLDER
    rows: list[dict[str, str]] = []
    shop.reporter.started(_UNIT)
    for unit, data in proofs.binary_sboms():
        slug = unit.platform.slug if unit.platform else ""
        path = folder / slug / f"{unit.name}{SUFFIX}"
        rows.append(_write(path, data, f"{unit.kind}/{unit.name}", str(unit.platform)))
    sboms: dict[Digest, bytes] = {}
    for item in pushed:
        shop.reporter.progress(_UNIT, f"layers of {item.name}")
        for identity, (platform, image) in zip(item.units, item.images.items(), strict=True):
            data = proofs.image_sbom(identity, item.references[0], image)
            sboms[image.descriptor.digest] = data
            path = folder / platform.slug / f"image-{item.name}{SUFFIX}"
            rows.append(_write(path, data, f"image/{item.name}", str(platform)))
    subjects = [subject for item in pushed for subject in item.subjects()]
    statement = proofs.provenance([*proofs.binary_subjects(), *subjects])
    rows += _provenance(folder, statement, signing.signer if signing else None)
    if shop.git.dirty:
        shop.reporter.warn("the source differs from its commit, so its provenance names no commit")
    attached = 0
    if signing is not None:
        shop.reporter.progress(_UNIT, "signing")
        attester = ImageAttester(
            client=makers.registry,
            signer=signing.signer,
            epoch=shop.epoch(),
            legacy_tags=signing.legacy_tags,
        )
        attached = sum(attach(attester, item, statement, sboms) for item in pushed)
    _report(shop, rows, attached, is_signed=signing is not None)


def _provenance(folder: Path, statement: Statement, signer: Signer | None) -> list[dict[str, str]]:
    if signer is None:
        for name in (ENVELOPE, BUNDLE):
            (folder / name).unlink(missing_ok=True)
        return [_write(folder / PROVENANCE, statement.data + b"\n", "provenance", "")]
    envelope = statement.signed(signer)
    (folder / PROVENANCE).unlink(missing_ok=True)
    return [
        _write(folder / ENVELOPE, envelope.data + b"\n", "provenance", ""),
        _write(folder / BUNDLE, envelope_bundle(envelope) + b"\n", "provenance", ""),
    ]


def _write(path: Path, data: bytes, what: str, platform: str) -> dict[str, str]:
    if not path.is_file() or path.read_bytes() != data:
        atomic_write(path, data)
    digest = str(Digest.of_bytes(data))
    return {"what": what, "platform": platform, "digest": digest, "file": str(path)}


def _report(shop: Workshop, rows: list[dict[str, str]], attached: int, *, is_signed: bool) -> None:
    detail = f"{attached} signatures and attestations attached" if is_signed else "nothing signed"
    shop.reporter.finished(_UNIT, "done", 0.0, detail)
    if shop.options.json:
        document: dict[str, Any] = {"attestations": rows, "attached": attached}
        print_json(document)
        return
    out = shop.settings.out
    shop.reporter.table(
        _COLUMNS,
        [
            (
                row["what"],
                row["platform"],
                row["digest"][7:19],
                str(Path(row["file"]).relative_to(out)),
            )
            for row in rows
        ],
    )
