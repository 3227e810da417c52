"""Checks of a release's directory; everything is recomputed from what lies there."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path

from buildkit.build.stamps import stored_stamp
from buildkit.digest import Digest
from buildkit.errors import BuildkitError, VerificationError
from buildkit.plan.units import Kind
from buildkit.platform import Platform
from buildkit.release.assemble import ARCHIVE, PACKAGE
from buildkit.release.dist import dist_files, is_signature
from buildkit.release.documents import (
    CHECKSUMS_FILE,
    LAYOUT_FOLDER,
    RELEASE_FILE,
    REPEATED,
    FileEntry,
    ReleaseDocument,
    decode_release,
    inputs_digest,
    parse_checksums,
    release_checksums,
    repeated_documents,
)
from buildkit.release.layout import layout_differences
from buildkit.release.proofs import SBOM, SBOM_FOLDER, sbom_path
from buildkit.verify.check import Check, compare
from buildkit.verify.contents import Expected, check_contents
from buildkit.verify.members import read_members, read_package


def check_release(folder: Path) -> Iterator[Check]:
    """Yield every check of a release that needs neither key nor network.

    Raises:
        VerificationError: there is no release.json that can be read.
    """
    document = read_release(folder)
    yield from _files(folder, document)
    yield check_checksums(folder, document)
    yield check_decided(document)
    yield from check_repeated(folder, document, REPEATED)
    yield from _images(folder, document)
    yield _sboms(document)
    for file in document.files:
        yield from check_file(folder, document, file)


def read_release(folder: Path) -> ReleaseDocument:
    """Return the document of a release.

    Raises:
        VerificationError: there is none.
    """
    path = folder / RELEASE_FILE
    if not path.is_file():
        raise VerificationError(
            f"{folder} is no release",
            details=f"It has no {RELEASE_FILE}.",
            resolution="Name the directory that `invoke release` wrote, or all of what was "
            "published of it.",
        )
    return decode_release(path.read_bytes(), str(path))


def unit_digests(document: ReleaseDocument) -> dict[str, Digest]:
    """Return what each unit of a release made, by id."""
    return {unit.id: Digest.parse(unit.digest) for unit in document.units}


def stamped_units(document: ReleaseDocument) -> frozenset[str]:
    """Return the units whose outputs hold the version."""
    return frozenset(unit.id for unit in document.units if unit.stamped)


def is_file(unit: str) -> bool:
    """Tell whether a unit made one file that is known by its digest, and not a directory."""
    return not unit.startswith(f"{Kind.COMMAND}/")


def _files(folder: Path, document: ReleaseDocument) -> Iterator[Check]:
    for file in document.files:
        path = folder / file.path
        if not path.is_file():
            yield Check(subject=file.path, compared="sha256", problem="it is missing")
            continue
        yield compare(file.path, "sha256", Digest.of_file(path).hex, file.sha256)
    known = {file.path for file in document.files} | {RELEASE_FILE, CHECKSUMS_FILE}
    strange = [
        name
        for name in dist_files(folder)
        if name not in known
        and not (document.images and name.startswith(f"{LAYOUT_FOLDER}/"))
        and not is_signature(name, known)
    ]
    yield Check(
        subject=folder.name,
        compared=f"no file beside the {len(known)} of the release",
        problem=", ".join(strange),
    )


def check_decided(document: ReleaseDocument) -> Check:
    """Compute what decided a release again from its fields."""
    units = {unit.id: unit.digest for unit in document.units}
    inputs = inputs_digest(document, units, document.tools)
    return compare(RELEASE_FILE, "the digest of all that decided it", document.inputs, inputs)


def check_repeated(
    folder: Path, document: ReleaseDocument, names: Container[str]
) -> Iterator[Check]:
    """Compare documents that repeat release.json with it: those of some names."""
    for name, data in repeated_documents(document).items():
        if name not in names:
            continue
        path = folder / name
        same = path.is_file() and path.read_bytes() == data
        yield Check(
            subject=name,
            compared=f"it says what {RELEASE_FILE} says",
            problem="" if same else "it says something else",
        )


def check_checksums(folder: Path, document: ReleaseDocument) -> Check:
    """Compare checksums.txt with what release.json says, and with that one itself."""
    compared = f"the digests of {len(document.files) + 1} files"
    try:
        data = (folder / CHECKSUMS_FILE).read_bytes()
        found = parse_checksums(data, CHECKSUMS_FILE)
        wanted = {file.path: Digest(file.sha256) for file in document.files}
    except (OSError, VerificationError, ValueError) as error:
        return Check(subject=CHECKSUMS_FILE, compared=compared, problem=str(error))
    release = wanted[RELEASE_FILE] = Digest.of_file(folder / RELEASE_FILE)
    wrong = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    if not wrong and data != release_checksums(document, release):
        wrong = ["its form"]
    return Check(subject=CHECKSUMS_FILE, compared=compared, problem=", ".join(wrong))


def _images(folder: Path, document: ReleaseDocument) -> Iterator[Check]:
    if not document.images:
        return
    if not (folder / LAYOUT_FOLDER).exists():
        # What is published to a directory, a server or GitHub has no images.
        what = f"{len(document.images)} images are not here: verify each in its registry"
        yield Check(subject=LAYOUT_FOLDER, compared=what)
    else:
        yield _layout(folder, document)
    wanted = sorted(name for name in document.platforms if name.startswith("linux/"))
    for image in document.images:
        missing = sorted(set(image.platforms) - set(wanted))
        yield Check(
            subject=image.reference,
            compared=f"platforms {', '.join(image.platforms)}",
            problem=f"the release is not for {', '.join(missing)}" if missing else "",
        )


def _sboms(document: ReleaseDocument) -> Check:
    """Tell whether all that is made of programs is described; the files have their own check."""
    there = {file.path for file in document.files if file.type == SBOM}
    wanted = sorted({sbom_path(unit.id) for unit in document.units} - {""})
    if not there:
        return Check(subject=SBOM_FOLDER, compared="there are none")
    missing = [path for path in wanted if path not in there]
    return Check(
        subject=SBOM_FOLDER,
        compared=f"one for each of {len(wanted)} binaries, packages and images",
        problem=f"missing: {', '.join(missing)}" if missing else "",
    )


def _layout(folder: Path, document: ReleaseDocument) -> Check:
    def digest(path: Path) -> str:
        return str(Digest.of_file(path)) if path.is_file() else ""

    problems = layout_differences(folder / LAYOUT_FOLDER, document.images, digest)
    return Check(
        subject=LAYOUT_FOLDER,
        compared=f"{len(document.images)} images, every blob by its digest",
        problem="; ".join(problems),
    )


def check_file(folder: Path, document: ReleaseDocument, file: FileEntry) -> Iterator[Check]:
    """Compare what is in an archive or a package of a release with what was built."""
    if file.type not in {ARCHIVE, PACKAGE} or not file.platform:
        return
    path = folder / file.path
    try:
        if file.type == PACKAGE:
            yield from _package(path, document, file)
        members = read_members(path, stored_stamp(document.version))
        yield from check_contents(file.path, members, _expected(document, file))
    except (OSError, KeyError, ValueError, BuildkitError) as error:
        yield Check(subject=file.path, compared="its content", problem=str(error))


def _expected(document: ReleaseDocument, file: FileEntry) -> Expected:
    """Return what an archive should hold, a package what its binaries are."""
    held = file.contains
    if file.type == PACKAGE:
        held = tuple(n for u in document.units if u.id in file.contains for n in u.holds)
    digests = unit_digests(document)
    # What a command makes may hold programs, of which only the digest of all is known.
    files = [unit for unit in held if is_file(unit)]
    return Expected(
        platform=Platform.parse(file.platform),
        units={unit: digests[unit] for unit in files},
        stamped=stamped_units(document),
        others=len(files) < len(held),
    )


def _package(path: Path, document: ReleaseDocument, file: FileEntry) -> Iterator[Check]:
    facts = read_package(path)
    number = facts.version.partition("~")[0].partition("+")[0]
    expected = document.version.partition("-")[0].partition("+")[0]
    yield compare(file.path, f"the version of {facts.name}", number, expected)
    arch = Platform.parse(file.platform).arch
    names = {"amd64": {"amd64", "x86_64"}, "arm64": {"arm64", "aarch64"}}.get(arch, {arch})
    yield Check(
        subject=file.path,
        compared=f"its architecture is {facts.architecture}",
        problem="" if facts.architecture in names else f"it is filed under {file.platform}",
    )
