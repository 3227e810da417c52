"""Tars as tests write and read them."""

from __future__ import annotations

import tarfile
from typing import Literal

TarMode = Literal["w", "w:gz", "w:xz", "w:bz2"]


def tar_files(archive: tarfile.TarFile) -> dict[str, bytes]:
    """Return the content of each file by its name."""
    found = ((item.name, archive.extractfile(item)) for item in archive if item.isreg())
    return {name: stream.read() for name, stream in found if stream is not None}
