"""`invoke verify SUBJECT`: a release, an image, or a file of a release."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import (
    BuildkitError,
    EnvironmentMissingError,
    UsageError,
    VerificationError,
)
from buildkit.http import HttpPool
from buildkit.log import Reporter, choose_reporter
from buildkit.oci.layout import Layout
from buildkit.pipeline.makers import registry_client
from buildkit.pipeline.promoting import is_reference
from buildkit.pipeline.rebuilding import rebuild_checks
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import TARGETS, Workshop
from buildkit.plan.options import Options, split_list
from buildkit.proc import Processes
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.originals import in_layout, in_registry
from buildkit.registry.sending import Sender
from buildkit.release.dist import read_dist
from buildkit.release.documents import LAYOUT_FOLDER, ImageEntry, ReleaseDocument
from buildkit.verify.check import Check, judge
from buildkit.verify.file import check_released_file, find_release, unnamed
from buildkit.verify.image import check_alone, check_image
from buildkit.verify.release import check_release, read_release
from buildkit.verify.signed import (
    Trust,
    check_signatures,
    check_signed_file,
    check_signed_image,
    signed_path,
)

_COLUMNS = ("state", "subject", "compared")


class Place(Struct, frozen=True, kw_only=True):
    """Where a verification runs: in a project, or where somebody downloaded something.

    Attributes:
        options: the flags of the call.
        environ: the environment.
        reporter: takes warnings.
        shop: the project; None where there is none, or nothing asks for it.
    """

    options: Options
    environ: Mapping[str, str]
    reporter: Reporter
    shop: Workshop | None

    @classmethod
    def find(cls, options: Options, subject: Path, environ: Mapping[str, str]) -> Place:
        """Open the project where flags name it, or where something of it may count.

        Files are verified by what lies beside them, so that they need no targets.toml, and
        one that is there is not read.

        Raises:
            UsageError, ConfigError: see :meth:`Workshop.open`.
        """
        is_named = options.targets or options.source or options.set or options.out
        may_count = not subject.exists() and Path(TARGETS).is_file()
        wanted = is_named or options.rebuild or may_count
        shop = Workshop.open(options, environ=environ) if wanted else None
        quiet = bool(options.quiet or options.json)
        reporter = shop.reporter if shop else choose_reporter(environ, quiet=quiet)
        return cls(options=options, environ=environ, reporter=reporter, shop=shop)

    @property
    def dist(self) -> Path:
        """Where a release may be that an image is of."""
        root = self.shop.project.root if self.shop else Path.cwd()
        return Path(self.options.dist).resolve() if self.options.dist else root / "dist"

    def registry(self) -> RegistryClient:
        """Return a client that speaks http to those that targets.toml and ``--insecure`` name."""
        configured = self.shop.project.config.registry.insecure if self.shop else ()
        return registry_client(
            environ=self.environ,
            pool=HttpPool(environ=self.environ, offline=bool(self.options.offline)),
            runner=Processes(),
            warn=self.reporter.warn,
            insecure=(*configured, *split_list(self.options.insecure)),
        )


def run_verify(options: Options, subject: str, environ: Mapping[str, str] | None = None) -> None:
    """Check a release's directory, an image in a registry, or one file of a release.

    Args:
        options: the flags.
        subject: the directory, the file, or the image's reference.
        environ: the environment, instead of this process's own.

    Raises:
        UsageError: the subject is none of these.
        VerificationError: something is not what it should be; all of it is named.
    """
    environ = dict(os.environ if environ is None else environ)
    path = Path(subject).expanduser()
    if options.rebuild and not path.is_dir():
        raise UsageError(f"verify {subject} --rebuild: that is no release's directory")
    place = Place.find(options, path, environ)
    checks = tuple(_checks(place, subject, path))
    shown = choose_reporter(environ, quiet=False, stream=sys.stdout)
    if options.json:
        print_json({"subject": subject, "checks": list(map(_check_json, checks))})
    else:
        with closing(shown):
            shown.table(_COLUMNS, [_row(check) for check in checks])
    judge(subject, checks)
    if not options.json:
        shown.note(f"{subject} is what it should be: {len(checks)} checks")


def read_trust(options: Options) -> Trust | None:
    """Return who is believed: the public key of ``--key``; None where it is not given.

    Raises:
        UsageError: something is expected of a provenance, and no key says which counts.
        EnvironmentMissingError: the key cannot be read.
        VerificationError: it is no key that can verify.
    """
    from buildkit.attest.keys import PublicKey  # noqa: PLC0415 - loads cryptography

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


def _checks(place: Place, subject: str, path: Path) -> Iterator[Check]:
    trust = read_trust(place.options)
    if path.is_dir():
        yield from _folder_checks(place, path, trust)
    elif path.is_file():
        yield from _file_checks(path, trust)
    elif is_reference(subject):
        yield from _image_checks(place, subject, trust)
    else:
        raise UsageError(
            f"verify {subject}: that is no release, file or image",
            resolution="Name the directory that `invoke release` wrote, a file in it, or an image "
            "with its tag or digest (localhost:5000/pilot:1.0.0).",
        )


def _folder_checks(place: Place, folder: Path, trust: Trust | None) -> Iterator[Check]:
    yield from _release_checks(folder)
    if place.options.rebuild:
        yield from rebuild_checks(place.options, folder, place.environ)
    if trust is not None:
        yield from check_signatures(folder, read_release(folder), trust)


def _release_checks(folder: Path) -> Iterator[Check]:
    yield from check_release(folder)
    document = read_release(folder)
    # What is published to a directory, a server or GitHub has no images.
    here = document.images if (folder / LAYOUT_FOLDER).exists() else ()
    for image in here:
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


def _file_checks(path: Path, trust: Trust | None) -> Iterator[Check]:
    # A signature is checked with what it is of; without a key it is none of the release's files.
    path = signed_path(path) if trust else path
    file = find_release(path)
    if file is None and trust is None:
        raise unnamed(path)
    if file is not None and not (trust and file.is_first):
        yield from check_released_file(file)
    if trust is not None:
        yield from check_signed_file(path, file, trust)


def _image_checks(place: Place, subject: str, trust: Trust | None) -> Iterator[Check]:
    reference = Reference.parse(subject)
    client = place.registry()
    with Sender(registry=client).answering([reference.registry]):
        original = in_registry(client, reference)
        image = _released(place.dist, original.root.descriptor.digest)
        if image is None:
            yield from check_alone(original)
        else:
            yield from check_image(original, *image)
        if trust is not None:
            yield from check_signed_image(client, reference, original, trust)


def _released(dist: Path, digest: Digest) -> tuple[ImageEntry, ReleaseDocument] | None:
    """Return what the release here says of an image with this digest."""
    document = read_dist(dist)
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
