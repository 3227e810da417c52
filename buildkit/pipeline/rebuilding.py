"""`invoke verify DIST --rebuild`: makes the release once more, elsewhere, and compares."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import UsageError
from buildkit.pipeline.releasing import run_release
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.options import Options
from buildkit.release.dist import dist_files
from buildkit.release.documents import LAYOUT_FOLDER, ZLIB, ReleaseDocument
from buildkit.verify.check import Check
from buildkit.verify.difference import first_difference, is_same_content
from buildkit.verify.layers import Compression, Rebuilt, compare_layers, released_layers
from buildkit.verify.release import read_release
from buildkit.verify.unsigned import compare_unsigned, depends_on_key


def rebuild_checks(options: Options, folder: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield, for every file of a release, whether building again gives the same bytes.

    Nothing of earlier runs is used but what is pinned: records and results are ignored, Go
    compiles into a cache of its own, and everything is written into a temporary directory.

    Raises:
        UsageError: another commit is checked out.
        BuildkitError: it cannot be built.
    """
    document = read_release(folder)
    shop = Workshop.open(options, environ=environ)
    _check_commit(shop, document)
    with tempfile.TemporaryDirectory(prefix="rebuild-", dir=_roomy(shop)) as name:
        place = Path(name)
        again = replace(
            options,
            out=str(place / "out"),
            dist=str(place / "dist"),
            version=document.version,
            platform=",".join(document.platforms),
            snapshot=document.snapshot,
            hub=_hub(document),
            force=True,
            # The key of a verification is the public one.
            key=None,
            json=None,
        )
        zlib = _compression(document)
        # What is in a layer is compared, and not what this zlib makes of it.
        packed = released_layers(folder, document) if zlib.differs else {}
        run_release(again, {**shop.environ, "GOCACHE": str(place / "go")}, packed)
        yield from compare_folders(
            Rebuilt(folder=folder, again=place / "dist", document=document, zlib=zlib)
        )


def compare_folders(rebuilt: Rebuilt) -> Iterator[Check]:
    """Compare two releases file by file."""
    folder, again, zlib = rebuilt.folder, rebuilt.again, rebuilt.zlib
    same: dict[str, str] = {}
    yield from compare_layers(rebuilt)
    for name in sorted({*dist_files(folder), *dist_files(again)}):
        if depends_on_key(name) or not _is_expected(name, folder):
            continue
        first, second = folder / name, again / name
        if not (first.is_file() and second.is_file()):
            where = "the release" if first.is_file() else "what was built again"
            yield Check(subject=name, compared="rebuilt", problem=f"it is in {where} alone")
            continue
        difference = first_difference(first, second)
        if is_same_content(difference) and zlib.differs:
            same[Digest.of_file(second).hex] = Digest.of_file(first).hex
            yield Check(subject=name, compared=f"rebuilt: {difference}, {zlib}")
            continue
        yield Check(subject=name, compared="rebuilt, byte by byte", problem=difference)
    yield from compare_unsigned(folder, again, same, by_other_zlib=zlib.differs)


def _is_expected(name: str, folder: Path) -> bool:
    """Tell whether a file has to be in a release that was downloaded, maybe without images."""
    return not name.startswith(f"{LAYOUT_FOLDER}/") or (folder / LAYOUT_FOLDER).is_dir()


def _check_commit(shop: Workshop, document: ReleaseDocument) -> None:
    if shop.git.revision != document.source.revision or shop.git.dirty != document.source.dirty:
        raise UsageError(
            f"{document.version} was built from commit {document.source.revision[:12]}",
            details=f"This is {shop.git.stamped_revision}.",
            resolution=f"git checkout {document.source.revision[:12]}, and run it again.",
        )


def _hub(document: ReleaseDocument) -> str | None:
    """Return the hub that the images of a release are named by; None where there are none."""
    names = (image.reference.rpartition("/")[0] for image in document.images)
    return ",".join(dict.fromkeys(names)) or None


def _compression(document: ReleaseDocument) -> Compression:
    recorded = next((tool.version for tool in document.tools if tool.name == ZLIB), "")
    return Compression(recorded=recorded, here=zlib.ZLIB_RUNTIME_VERSION)


def _roomy(shop: Workshop) -> Path:
    shop.settings.out.mkdir(parents=True, exist_ok=True)
    return shop.settings.out
