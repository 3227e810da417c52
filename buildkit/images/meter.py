"""How far a unit is, told while its bytes pass by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from buildkit.oci.tarstream import Block
from buildkit.plan.units import Progress

_MEGA = 1e6


class Meter:
    """Counts the bytes of one unit; ``total`` is how many there will be."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._done = 0

    def passed(self, size: int) -> None:
        """Count bytes, and end here where the run was stopped.

        Raises:
            CancelledError: see :data:`Progress`.
        """
        self._done += size
        self._progress(f"{self._done / _MEGA:.0f} of {self._total / _MEGA:.0f} MB")

    def count(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield blocks, and count each."""
        for block in blocks:
            self.passed(len(block))
            yield block
