"""`invoke verify SUBJECT`: a release, an image, or a file of a release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from buildkit.digest import Digest
from buildkit.errors import (
    BuildkitError,
    EnvironmentMissingError,
    UsageError,
    VerificationError,
)
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.promoting import is_reference
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.options import Options

if TYPE_CHECKING:
    from buildkit.release.documents import ImageEntry, ReleaseDocument
    from buildkit.verify.check import Check
    from buildkit.verify.signed import Trust

_COLUMNS = ("state", "subject", "compared")


def run_verify(options: Options, subject: str) -> None:
    """Check a release's directory, an image in a registry, or one file of a release.

    Raises:
        UsageError: the subject is none of these.
        VerificationError: something is not what it should be; all of it is named.
    """
    from buildkit.verify.check import judge  # noqa: PLC0415 - no build needs it

    shop = Workshop.open(options)
    checks = tuple(_checks(shop, subject))
    if options.json:
        print_json({"subject": subject, "checks": list(map(_check_json, checks))})
    else:
        with closing(shop.shown):
            shop.shown.table(_COLUMNS, [_row(check) for check in checks])
    judge(subject, checks)
    if not options.json:
        shop.shown.note(f"{subject} is what it should be: {len(checks)} checks")


def read_trust(options: Options) -> Trust | None:
    """Return who is believed: the public key of ``--key``; None where it is not given.

    Raises:
        UsageError: something is expected of a provenance, and no key says which counts.
        EnvironmentMissingError: the key cannot be read.
        VerificationError: it is no key that can verify.
    """
    from buildkit.attest.keys import PublicKey  # noqa: PLC0415 - loads cryptography
    from buildkit.verify.signed import Trust  # noqa: PLC0415 - see run_verify

    if not options.key:
        if options.expect_source or options.expect_builder:
            raise UsageError(
                "a provenance is compared, and no key says whose counts",
                resolution="Name the signer's public key with --key cosign.pub.",
            )
        return None
    path = Path(options.key)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EnvironmentMissingError.of_file(f"the key {path} cannot be read", error) from error
    return Trust(
        verifier=PublicKey.read(data, str(path)),
        source=options.expect_source or "",
        builder=options.expect_builder or "",
    )


def _checks(shop: Workshop, subject: str) -> Iterator[Check]:
    trust = read_trust(shop.options)
    yield from _plain_checks(shop, subject)
    if trust is not None:
        yield from _signed_checks(shop, subject, trust)


def _signed_checks(shop: Workshop, subject: str, trust: Trust) -> Iterator[Check]:
    from buildkit.reference import Reference  # noqa: PLC0415 - see run_verify
    from buildkit.registry.originals import in_registry  # noqa: PLC0415
    from buildkit.verify.release import read_release  # noqa: PLC0415
    from buildkit.verify.signed import (  # noqa: PLC0415
        check_signature,
        check_signatures,
        check_signed_image,
    )

    path = Path(subject).expanduser()
    if path.is_dir():
        yield from check_signatures(path, read_release(path), trust)
    elif path.is_file():
        yield check_signature(path, trust.verifier)
    else:
        client, reference = Makers(shop).registry, Reference.parse(subject)
        original = in_registry(client, reference)
        yield from check_signed_image(client, reference, original, trust)


def _plain_checks(shop: Workshop, subject: str) -> Iterator[Check]:
    path = Path(subject).expanduser()
    if shop.options.rebuild and not path.is_dir():
        raise UsageError(f"verify {subject} --rebuild: that is no release's directory")
    if path.is_dir():
        yield from _release_checks(path)
        if shop.options.rebuild:
            from buildkit.pipeline.rebuilding import rebuild_checks  # noqa: PLC0415 - seldom

            yield from rebuild_checks(shop.options, path)
    elif path.is_file():
        yield from _file_checks(path)
    elif is_reference(subject):
        yield from _image_checks(shop, subject)
    else:
        raise UsageError(
            f"verify {subject}: that is no release, file or image",
            resolution="Name the directory that `invoke release` wrote, a file in it, or an image "
            "with its tag or digest (localhost:5000/pilot:1.0.0).",
        )


def _release_checks(folder: Path) -> Iterator[Check]:
    from buildkit.oci.layout import Layout  # noqa: PLC0415 - see run_verify
    from buildkit.registry.originals import in_layout  # noqa: PLC0415
    from buildkit.release.documents import LAYOUT_FOLDER  # noqa: PLC0415
    from buildkit.verify.check import Check  # noqa: PLC0415
    from buildkit.verify.image import check_image  # noqa: PLC0415
    from buildkit.verify.release import check_release, read_release  # noqa: PLC0415

    yield from check_release(folder)
    document = read_release(folder)
    for image in document.images:
        try:
            layout = Layout.open(folder / LAYOUT_FOLDER)
            if (entry := layout.find(image.reference)) is None:
                raise VerificationError("it is missing")
            original = in_layout(layout, entry, image.reference)
        except BuildkitError as error:
            # One damaged image is no reason to leave out the checks of the others.
            yield Check(subject=image.reference, compared="the image", problem=error.brief)
            continue
        yield from check_image(original, image, document)


def _file_checks(path: Path) -> Iterator[Check]:
    from buildkit.verify.check import Check, compare  # noqa: PLC0415 - see run_verify
    from buildkit.verify.release import check_file, read_release  # noqa: PLC0415

    document = read_release(path.parent)
    entry = next((file for file in document.files if file.path == path.name), None)
    if entry is None:
        problem = f"{document.project} {document.version} has no file of this name"
        yield Check(subject=path.name, compared="its name", problem=problem)
        return
    yield compare(path.name, "sha256", Digest.of_file(path).hex, entry.sha256)
    yield from check_file(path.parent, document, entry)


def _image_checks(shop: Workshop, subject: str) -> Iterator[Check]:
    from buildkit.reference import Reference  # noqa: PLC0415 - see run_verify
    from buildkit.registry.originals import in_registry  # noqa: PLC0415
    from buildkit.registry.sending import Sender  # noqa: PLC0415
    from buildkit.verify.image import check_alone, check_image  # noqa: PLC0415

    reference = Reference.parse(subject)
    client = Makers(shop).registry
    with Sender(registry=client).answering([reference.registry]):
        original = in_registry(client, reference)
        image = _released(shop, original.root.descriptor.digest)
        if image is None:
            yield from check_alone(original)
        else:
            yield from check_image(original, *image)


def _released(shop: Workshop, digest: Digest) -> tuple[ImageEntry, ReleaseDocument] | None:
    """Return what the release here says of an image with this digest."""
    from buildkit.pipeline.releasing import dist_folder  # noqa: PLC0415 - see run_verify
    from buildkit.release.dist import read_dist  # noqa: PLC0415

    document = read_dist(dist_folder(shop.options, shop))
    for image in document.images if document else ():
        if document and image.digest == str(digest):
            return image, document
    return None


def _row(check: Check) -> tuple[str, ...]:
    text = f"{check.compared}: {check.problem}" if check.problem else check.compared
    return check.state, check.subject, text


def _check_json(check: Check) -> dict[str, str]:
    return {
        "state": check.state,
        "subject": check.subject,
        "compared": check.compared,
        "problem": check.problem,
    }
