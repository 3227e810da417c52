"""Where two releases of the same thing differ first, looked for inside what holds other things."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.verify.members import Member, layer_members, read_members

_BLOCK = 1 << 20
_JSON = (".json", ".jsonl")


def first_difference(first: Path, second: Path) -> str:
    """Say how two files differ; empty where they have the same bytes.

    Archives, packages and layers are looked into, and so is JSON. Where zlib alone
    wrote other bytes of the same content, that is what is said.
    """
    if Digest.of_file(first) == Digest.of_file(second):
        return ""
    for look in _looks(first):
        try:
            found = look(first, second)
        except (VerificationError, msgspec.MsgspecError):
            continue
        if found:
            return found
    if _is_same_unzipped(first, second) or _is_same_zip(first, second):
        return "the content is the same, zlib wrote it otherwise"
    return _bytes_difference(first, second)


def is_same_content(difference: str) -> bool:
    """Tell whether a difference is one of compression alone."""
    return difference.startswith("the content is the same")


def member_difference(first: tuple[Member, ...], second: tuple[Member, ...]) -> str:
    """Name the first file that two archives have differently; empty where there is none."""
    for one, other in zip_longest(first, second):
        if one is None or other is None or one.name != other.name:
            names = " and ".join(item.name if item else "nothing" for item in (one, other))
            return f"there are {names} in the same place"
        for what in ("digest", "mode", "time"):
            left, right = getattr(one, what), getattr(other, what)
            if left != right:
                shown = (oct(left), oct(right)) if what == "mode" else (left, right)
                return f"{one.name}: its {what} is {shown[0]} and {shown[1]}"
    return ""


def json_difference(first: Any, second: Any, path: str = "") -> str:
    """Name the first place in which two JSON values differ; empty where there is none."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = sorted({*first, *second})
        pairs: Iterator[tuple[Any, Any, Any]] = (
            (f"{path}.{key}", first.get(key), second.get(key)) for key in keys
        )
    elif isinstance(first, list) and isinstance(second, list):
        both = enumerate(zip_longest(first, second))
        pairs = ((f"{path}[{number}]", one, other) for number, (one, other) in both)
    else:
        return "" if first == second else f"{path or '.'} is {first!r} and {second!r}"
    return next((found for at, a, b in pairs if (found := json_difference(a, b, at))), "")


def _looks(path: Path) -> Iterator[Callable[[Path, Path], str]]:
    if path.name.endswith(_JSON):
        yield _in_json
    yield _in_archive
    yield _in_layer


def _in_json(first: Path, second: Path) -> str:
    return json_difference(
        msgspec.json.decode(first.read_bytes()), msgspec.json.decode(second.read_bytes())
    )


def _in_archive(first: Path, second: Path) -> str:
    return member_difference(read_members(first), read_members(second))


def _in_layer(first: Path, second: Path) -> str:
    """Look into blobs, whose names say nothing of what they are."""
    return member_difference(layer_members(first), layer_members(second))


def _is_same_unzipped(first: Path, second: Path) -> bool:
    """Tell whether two files are of gzip, whole, and have the same content."""
    with (
        suppress(OSError, EOFError, zlib.error),
        gzip.open(first) as one,
        gzip.open(second) as other,
    ):
        while True:
            left, right = one.read(_BLOCK), other.read(_BLOCK)
            if left != right:
                return False
            if not left:
                return True
    return False


def _is_same_zip(first: Path, second: Path) -> bool:
    with suppress(VerificationError):
        members = read_members(first) if first.suffix == ".zip" else ()
        return bool(members) and members == read_members(second)
    return False


def _bytes_difference(first: Path, second: Path) -> str:
    at = 0
    with first.open("rb") as one, second.open("rb") as other:
        while True:
            left, right = one.read(_BLOCK), other.read(_BLOCK)
            if left != right:
                break
            at += len(left)
    short = min(len(left), len(right))
    at += next((n for n in range(short) if left[n] != right[n]), short)
    sizes = f"they have {first.stat().st_size} and {second.stat().st_size} bytes"
    return f"the first byte that differs is number {at}; {sizes}"
