"""What measurements were made on: the machine and the programs, and no path of either."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

from msgspec import Struct, structs


class Surroundings(Struct, frozen=True, kw_only=True):
    """A machine, and what ran on it.

    ``memory`` is in bytes; ``load`` is the number of runnable processes over the minute
    before, so a busy machine shows; ``tools`` has the version of each program by its name.
    """

    processor: str
    cores: int
    memory: int
    load: float
    system: str
    tools: dict[str, str]

    def document(self) -> dict[str, Any]:
        """Return everything for a JSON document."""
        return structs.asdict(self)

    def __str__(self) -> str:
        """Return one line for people."""
        tools = ", ".join(f"{name} {version}" for name, version in self.tools.items())
        memory = f"{self.memory / 2**30:.0f} GiB"
        return f"{self.cores} cores ({self.processor}), {memory}, {self.system}; {tools}"


def look(
    tools: dict[str, str], proc: Path = Path("/proc"), etc: Path = Path("/etc")
) -> Surroundings:
    """Describe this machine.

    Args:
        tools: versions of the programs that are measured.
        proc: where the kernel tells of itself, see proc(5).
        etc: where os-release(5) is.
    """
    return Surroundings(
        processor=_field(proc / "cpuinfo", r"model name\s*:\s*(.+)") or platform.machine(),
        cores=os.cpu_count() or 1,
        memory=_memory(proc / "meminfo"),
        load=round(os.getloadavg()[0], 2),
        system=_field(etc / "os-release", r'PRETTY_NAME="?([^"\n]+)') or _kernel(),
        tools={"Python": platform.python_version(), **tools},
    )


def _memory(meminfo: Path) -> int:
    kilobytes = _field(meminfo, r"MemTotal:\s*(\d+) kB")
    if kilobytes:
        return int(kilobytes) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _kernel() -> str:
    return f"{platform.system()} {platform.release()}"


def _field(file: Path, pattern: str) -> str:
    """Return what the first group of a pattern finds in a file; empty where there is neither."""
    try:
        found = re.search(pattern, file.read_text(encoding="utf-8"))
    except OSError:
        return ""
    return found[1].strip() if found else ""
