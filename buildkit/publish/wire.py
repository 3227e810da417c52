"""What the destinations over HTTP share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from buildkit.errors import FetchError, PublishError
from buildkit.publish.cargo import CargoFile


@contextmanager
def open_file(file: CargoFile) -> Iterator[BinaryIO]:
    """Open a file of the release.

    Raises:
        PublishError: it cannot be read, or its size is not the one that was released.
    """
    try:
        stream = file.path.open("rb")
    except OSError as error:
        raise PublishError(f"cannot read {file.path}", details=str(error)) from error
    with stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        if size != file.size:
            raise PublishError(
                f"{file.path} changed since it was released",
                details=f"It has {size} bytes, it should have {file.size}.",
                resolution="Make the release again.",
            )
        yield stream


def as_publish_error(error: FetchError) -> PublishError:
    """Return what went wrong on the way to a destination in the words of a publish."""
    return PublishError(
        error.brief,
        details=error.details,
        resolution=f"{error.resolution}\n" * bool(error.resolution)
        + "Run the same command again: what has arrived is not sent again.",
    )
