"""The directory of a release: written anew as a whole, or left as it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from buildkit.digest import Digest
from buildkit.errors import EnvironmentMissingError, UsageError
from buildkit.release.documents import (
    CHECKSUMS_FILE,
    LAYOUT_FOLDER,
    RELEASE_FILE,
    ReleaseDocument,
    decode_release,
    release_checksums,
)
from buildkit.release.layout import layout_differences
from buildkit.store import discard

SIGNATURE, BUNDLE = SIGNATURES = (".sig", ".sigstore.json")
"""How the names of signatures end; no document names them, for they are made of the documents."""


@contextmanager
def new_dist(target: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the place of ``target`` when the block succeeds.

    Raises:
        UsageError: something else than a release lies there.
        EnvironmentMissingError: it cannot be written.
    """
    check_replaceable(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(target)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".new", dir=target.parent))
    except OSError as error:
        raise EnvironmentMissingError.of_file(f"cannot write {target}", error) from error
    try:
        yield fresh
        fresh.chmod(0o755)
        _swap(fresh, target)
    except OSError as error:
        raise EnvironmentMissingError.of_file(f"cannot write {target}", error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_replaceable(target: Path) -> None:
    """Refuse to write over what is no release of this tool.

    Raises:
        UsageError: something else lies there.
    """
    if target.is_dir() and (not any(target.iterdir()) or (target / RELEASE_FILE).is_file()):
        return
    if target.exists():
        raise UsageError(
            f"{target} is no release",
            details=f"It exists and has no {RELEASE_FILE}; a release replaces the whole directory.",
            resolution="Name another directory with --dist, or move that one away.",
        )


def remove_unfinished(target: Path) -> None:
    """Remove what a killed run left beside a release."""
    for suffix in ("new", "old"):
        for path in target.parent.glob(f".{target.name}.*.{suffix}"):
            discard(path)


def read_dist(target: Path) -> ReleaseDocument | None:
    """Return the document of a release, None where there is no release.

    Raises:
        VerificationError: the document cannot be read.
    """
    try:
        data = (target / RELEASE_FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return decode_release(data, str(target / RELEASE_FILE))


def dist_files(target: Path) -> tuple[str, ...]:
    """Return every file below a release, by its path with slashes, sorted."""
    found = (path for path in target.rglob("*") if path.is_file() or path.is_symlink())
    return tuple(sorted(path.relative_to(target).as_posix() for path in found))


def differences(
    target: Path, document: ReleaseDocument, digest: Callable[[Path], str]
) -> tuple[str, ...]:
    """Tell how a directory is not what its release.json says, one line for each file.

    Args:
        target: the directory.
        document: its release.json.
        digest: gives a file's ``sha256:...``, empty where it is missing.
    """
    wanted = {file.path: str(Digest(file.sha256)) for file in document.files}
    sums = release_checksums(document, Digest.of_file(target / RELEASE_FILE))
    wanted[CHECKSUMS_FILE] = str(Digest.of_bytes(sums))
    there, found = dist_files(target), []
    for name in there:
        is_image = name.startswith(f"{LAYOUT_FOLDER}/") and document.images
        if is_image or name == RELEASE_FILE or is_signature(name, wanted):
            continue
        if name not in wanted:
            found.append(f"{name} is no part of it")
        elif digest(target / name) != wanted[name]:
            found.append(f"{name} was changed")
    found += [f"{name} is missing" for name in sorted(wanted.keys() - set(there))]
    if document.images:
        found += layout_differences(target / LAYOUT_FOLDER, document.images, digest)
    return tuple(found)


def is_signature(name: str, files: Container[str]) -> bool:
    """Tell whether a file is beside a file of the release and called as its signature is."""
    signed = (name.removesuffix(suffix) for suffix in SIGNATURES if name.endswith(suffix))
    return any(stem == RELEASE_FILE or stem in files for stem in signed)


def _swap(fresh: Path, target: Path) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    # Two renames: a kill between them leaves no release, and nothing half.
    old = fresh.with_name(fresh.name.removesuffix(".new") + ".old")
    target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)
