"""What can become of a file of the cache."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) * 2 // 3] ^= 0x04
    path.write_bytes(data)


def become_directory(path: Path) -> None:
    path.unlink()
    (path / "with").mkdir(parents=True)
    (path / "with" / "a file").write_text("x")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "emptied": empty,
    "cut off": cut,
    "a bit flipped": flip,
    "a directory": become_directory,
}


def damage_each(folder: Path) -> int:
    """Damage every file below a directory, each in another way than the one before; count them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path, damage in zip(files, cycle(DAMAGES.values()), strict=False):
        damage(path)
    return len(files)
