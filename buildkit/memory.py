"""How much memory there is, and how much a process group holds; in bytes, read from files alone.

Sources: proc(5), the kernel's ``cgroup-v2.rst`` and ``cgroup-v1/memory.rst``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

PROC = Path("/proc")
_KIB = 1024

_ACTION = 400_000_000
"""What one action of a `go build` may take: a large package's compiler, a middling link."""


class _Files(Struct, frozen=True, kw_only=True):
    """What one version of control groups calls its files."""

    limit: str
    usage: str
    inactive: str
    """The line of memory.stat with what the kernel gives up first: pages of files."""


_VERSIONS = {
    "cgroup2": _Files(limit="memory.max", usage="memory.current", inactive="inactive_file"),
    "cgroup": _Files(
        limit="memory.limit_in_bytes",
        usage="memory.usage_in_bytes",
        inactive="total_inactive_file",
    ),
}
"""By the type of the mounted file system."""


def available_memory(proc: Path = PROC) -> int:
    """Return what a run may take: what is free here, or below the nearest limit of a cgroup.

    Where there is no /proc, as on macOS, it is all that the machine has.
    """
    rooms = [_machine(proc), *_cgroup_rooms(proc)]
    return max(0, min(rooms))


def actions_within(available: int, jobs: int) -> int:
    """Return how many actions of a `go build` may run at once: ``jobs``, or fewer."""
    return max(1, min(jobs, available // _ACTION))


def group_memory(proc: Path = PROC) -> dict[int, int]:
    """Return the resident memory of every process group; shared pages count in each process."""
    sizes: Counter[int] = Counter()
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in os.scandir(proc):
        if entry.name.isdecimal():
            # A process that has just ended has no file any more, or fails to read.
            with suppress(OSError):
                group, pages = _group_and_pages(Path(entry.path, "stat").read_bytes())
                sizes[group] += pages * page
    return dict(sizes)


def parse_groups(text: str) -> dict[int, int]:
    """Return the same from what ``ps -A -o pgid=,rss=`` prints, in KiB."""
    sizes: Counter[int] = Counter()
    for line in text.splitlines():
        group, size = line.split()
        sizes[int(group)] += int(size) * _KIB
    return dict(sizes)


def _group_and_pages(stat: bytes) -> tuple[int, int]:
    # The program's name is in parentheses and may hold anything; fields 3 and up follow it.
    fields = stat.rpartition(b")")[2].split()
    return int(fields[2]), int(fields[21])


def _machine(proc: Path) -> int:
    try:
        lines = (proc / "meminfo").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes["MemAvailable"].split()[0]) * _KIB


def _cgroup_rooms(proc: Path) -> Iterator[int]:
    """Yield what is left below the limit of each cgroup that this process is in."""
    try:
        mounts = (proc / "self/mountinfo").read_text(encoding="utf-8").splitlines()
        groups = _groups((proc / "self/cgroup").read_text(encoding="utf-8"))
    except OSError:
        return
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()[:3]
        if kind in _VERSIONS and (kind == "cgroup2" or "memory" in options.split(",")):
            root, mount = before.split()[3:5]
            yield from _rooms(Path(mount), root, groups.get(kind, "/"), _VERSIONS[kind])


def _groups(text: str) -> dict[str, str]:
    """Return the path of this process's group by the type of file system that shows it."""
    found = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found["cgroup2"] = path
        elif "memory" in controllers.split(","):
            found["cgroup"] = path
    return found


def _rooms(mount: Path, root: str, path: str, files: _Files) -> Iterator[int]:
    # In a container the mount shows a part of the tree, which ``root`` names, and the path
    # may lie outside of it; the mount's top is then the nearest that can be seen.
    inside = path.removeprefix(root).strip("/") if path.startswith(root) else ""
    folder = mount / inside
    places = (folder, *folder.parents) if folder.is_dir() else (mount,)
    for place in places:
        if place == mount or mount in place.parents:
            with suppress(OSError, ValueError):
                yield _room(place, files)


def _room(place: Path, files: _Files) -> int:
    """Return a limit without what is in use; ``max``, for none, is no number."""
    limit = int((place / files.limit).read_text(encoding="ascii"))
    usage = int((place / files.usage).read_text(encoding="ascii"))
    return limit - usage + _inactive(place, files)


def _inactive(place: Path, files: _Files) -> int:
    lines = (place / "memory.stat").read_text(encoding="ascii").splitlines()
    stat: Mapping[str, str] = dict(line.split(" ", 1) for line in lines)
    return int(stat.get(files.inactive, "0"))
