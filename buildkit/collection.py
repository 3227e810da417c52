"""How much the user's cache holds, and how it is kept below a size: least recently used first.

Everything in the cache can be made or fetched again, so any file may go at any time at
which nobody reads it. The data of the local registry is no cache and stays, as do the
programs in ``tools``, and a toolchain or source tree that was used within a day.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.digest import canonical_json
from buildkit.errors import UsageError
from buildkit.intact import forget
from buildkit.store import Store, read_sealed, write_sealed

DEFAULT_LIMIT = 20_000_000_000
"""Bytes that the cache may hold if nothing else is said."""

_DAY = 24 * 3600
_LOW = 0.9
"""What is left of a limit after collecting, so that not every run collects again."""

_FOLDERS = {
    "blobs": "blobs",
    "actions": "actions",
    "layers": "layers",
    "gzip": "layers",
    "contents": "layers",
    "bases": "bases",
    "sheets": "sheets",
    "partial": "downloads",
    "tmp": "scratch",
    "go": "toolchains",
    "trees": "trees",
    "registry": "registry",
    "tools": "tools",
}
"""Top directories of the cache and the kind of what they hold."""
_KEPT = frozenset({"registry", "tools"})
_WHOLE = frozenset({"toolchains", "trees"})
"""Kinds that go as whole directories, and not within a day of their use."""
_SIZE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[kMGT]i?)?B?", re.IGNORECASE)


class Item(Struct, frozen=True, kw_only=True):
    """One file of the cache, one toolchain or one source tree.

    ``size`` is in bytes, ``used`` in seconds since 1970.
    """

    path: Path
    kind: str
    files: int
    size: int
    used: float


class KindUse(Struct, frozen=True, kw_only=True):
    """How much of one kind there is; times in seconds since 1970, of the last use."""

    kind: str
    files: int
    size: int
    oldest: float
    newest: float

    @property
    def is_kept(self) -> bool:
        """Whether collecting leaves it alone, and the limit does not count it."""
        return self.kind in _KEPT


class Collected(Struct, frozen=True, kw_only=True):
    """What collecting removed, or would remove, and how many bytes that count are left."""

    files: int
    freed: int
    left: int


class _Ledger(Struct, frozen=True, kw_only=True):
    """When the cache was counted last, and its bytes then with what came since."""

    counted: float
    size: int


def read_limit(text: str | None, origin: str) -> int | None:
    """Read a size such as ``20 GB``, ``500MiB`` or ``1000`` bytes; None for ``unlimited``.

    Args:
        text: what was given; nothing means the default.
        origin: who gave it, for the message.

    Raises:
        UsageError: it is no size.
    """
    if not text:
        return DEFAULT_LIMIT
    if text.strip().lower() == "unlimited":
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{origin} is '{text}', which is no size",
            resolution="Give a number with kB, MB, GB or TB, such as 20GB, or 'unlimited'.",
        )
    unit = (found["unit"] or "").lower()
    base = 1024 if unit.endswith("i") else 1000
    return int(float(found["number"]) * base ** " kmgt".index(unit[:1] or " "))


def scan(root: Path) -> Iterator[Item]:
    """Yield what the cache holds; what vanishes meanwhile is left out."""
    for folder, kind in _FOLDERS.items():
        top = root / folder
        if kind in _WHOLE:
            homes = sorted(path for path in top.iterdir() if path.is_dir()) if top.is_dir() else []
            yield from filter(None, (_whole(home, kind) for home in homes))
        else:
            yield from _files(top, kind)


def survey(items: Iterable[Item]) -> tuple[KindUse, ...]:
    """Sum what there is, by kind."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.kind, []).append(item)
    return tuple(
        KindUse(
            kind=kind,
            files=sum(item.files for item in members),
            size=sum(item.size for item in members),
            oldest=min(item.used for item in members),
            newest=max(item.used for item in members),
        )
        for kind, members in groups.items()
    )


def collect(root: Path, limit: int | None, now: float, *, dry_run: bool = False) -> Collected:
    """Remove leftovers of crashes, then what was not used for longest, down to a limit.

    Only for who holds the store alone, see :meth:`Store.unused`.

    Args:
        root: the cache.
        limit: the bytes to leave at most; None for any number.
        now: seconds since 1970.
        dry_run: only count.
    """
    items = [item for item in scan(root) if item.kind not in _KEPT]
    left = sum(item.size for item in items)
    removed = []
    for item in sorted(items, key=lambda item: (item.kind != "scratch", item.used)):
        fresh = item.used > now - _DAY
        leftover = item.kind == "scratch" and not fresh
        pinned = item.kind in {"scratch", *_WHOLE} and fresh
        if leftover or (limit is not None and left > limit and not pinned):
            removed.append(item)
            left -= item.size
    if not dry_run:
        for item in removed:
            with suppress(FileNotFoundError):
                _remove(item.path, root)
    return Collected(
        files=sum(item.files for item in removed),
        freed=sum(item.size for item in removed),
        left=left,
    )


def collect_if_due(store: Store, limit: int | None, added: int, now: float) -> Collected | None:
    """Keep the cache below a limit, after a run; None where nothing was to be done.

    Counting takes a while, so it is done once a day, and when the last count and
    what came since make more than the limit. Where another run uses the cache it
    is left to that one.

    Args:
        store: the cache; the caller no longer uses it.
        limit: bytes; None for any number.
        added: the bytes that the run may have added, at most.
        now: seconds since 1970.
    """
    ledger = _read_ledger(store)
    size = ledger.size + added
    if 0 <= now - ledger.counted < _DAY and (limit is None or size <= limit):
        _write_ledger(store, _Ledger(counted=ledger.counted, size=size))
        return None
    with store.unused() as is_free:
        if not is_free:
            return None
        found = sum(item.size for item in scan(store.root) if item.kind not in _KEPT)
        over = limit is not None and found > limit
        done = collect(store.root, int(_LOW * (limit or 0)) if over else None, now)
        _write_ledger(store, _Ledger(counted=now, size=done.left))
        return done if done.files else None


def _files(top: Path, kind: str) -> Iterator[Item]:
    for folder, _, names in os.walk(top):
        for name in names:
            path = Path(folder) / name
            with suppress(OSError):
                found = path.lstat()
                # What atomic_path writes beside its target is there only during a crash.
                leftover = kind not in _KEPT and name.startswith(".") and name.endswith(".tmp")
                yield Item(
                    path=path,
                    kind="scratch" if leftover else kind,
                    files=1,
                    size=found.st_size,
                    used=max(found.st_mtime, found.st_atime),
                )


def _whole(home: Path, kind: str) -> Item | None:
    sizes = [item.size for item in _files(home, kind)]
    with suppress(OSError):
        # Not its atime, which counting moves.
        used = home.stat().st_mtime
        return Item(path=home, kind=kind, files=len(sizes), size=sum(sizes), used=used)
    return None


def _remove(path: Path, root: Path) -> None:
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink(missing_ok=True)
        return
    scratch = root / "tmp"
    scratch.mkdir(exist_ok=True)
    # A directory goes at once or not at all.
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path.rename(Path(folder) / path.name)
        forget(path)
        shutil.rmtree(Path(folder) / path.name, ignore_errors=True)


def _read_ledger(store: Store) -> _Ledger:
    try:
        return decode_json(read_sealed(store.root / "counted.json") or b"", _Ledger)
    except msgspec.MsgspecError:
        return _Ledger(counted=0, size=0)


def _write_ledger(store: Store, ledger: _Ledger) -> None:
    write_sealed(store.root / "counted.json", canonical_json(ledger), sync=False)
