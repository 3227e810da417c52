"""What batches are expected to take, in bytes and seconds: as last time, or a rough guess.

A guess only orders and limits what starts; a wrong one makes nothing wrong.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping

from msgspec import Struct

from buildkit.execute.batches import Batch
from buildkit.plan.records import Record, RecordBook
from buildkit.plan.units import Kind
from buildkit.proc import OutOfMemoryError

MEGA = 1_000_000

_MEMORY = dict.fromkeys(Kind, 50 * MEGA) | {
    Kind.BINARY: 1000 * MEGA,
    Kind.DEB: 400 * MEGA,
    Kind.RPM: 400 * MEGA,
}
"""A first `go build` holds a linker and a compiler per core, nfpm a package with its files;
all else is streamed."""

_SECONDS = (
    dict.fromkeys(Kind, 2.0)
    | {Kind.BINARY: 60.0, Kind.FETCH: 20.0, Kind.BASE: 10.0}
    | {Kind.COMMAND: 30.0}
)


class Memory(Struct, frozen=True, kw_only=True):
    """What there is for batches, and what each is expected to take.

    Attributes:
        available: bytes for all that run at once.
        book: what they took last time.
    """

    available: int
    book: RecordBook

    def expected(self, batch: Batch) -> int:
        """Return the bytes that a batch will take at most."""
        if batch.is_restored:
            return _MEMORY[Kind.FETCH]
        return self._last(batch) or _MEMORY[batch.kind]

    def has_room(self, batch: Batch, running: Iterable[Batch]) -> bool:
        """Tell whether a batch fits beside others; one that is too large fits beside none."""
        others = tuple(running)
        if batch.is_alone or any(other.is_alone for other in others):
            return not others
        total = sum(self.expected(other) for other in (batch, *others))
        return not others or total <= self.available

    def is_short(self, batch: Batch) -> bool:
        """Tell whether a batch is known to take more than there is, as it is usually made."""
        return batch.is_alone or self._last(batch) > self.available

    def learned(self, batch: Batch, peak: int) -> int:
        """Return what to remember of a batch that took ``peak`` bytes.

        One that was made in less than it usually takes still needs what it needed.
        """
        if not self.is_short(batch):
            return peak
        return max(peak, self._last(batch), self.available + 1)

    def numbers(self, batch: Batch) -> str:
        """Say what a batch was expected to take, and what there was."""
        expected, available = self.expected(batch) // MEGA, self.available // MEGA
        return f"{expected} MB expected, {available} MB available"

    def explained(self, batch: Batch, error: OutOfMemoryError) -> OutOfMemoryError:
        """Return an error with the numbers, and for a second try what is left to do."""
        return OutOfMemoryError(
            error.brief,
            details=f"{self.numbers(batch)}\n{error.details}",
            resolution="It was tried again alone, one action at a time: only more memory helps."
            if batch.is_alone
            else error.resolution,
        )

    def _last(self, batch: Batch) -> int:
        return max((record.peak_memory for record in _records(batch, self.book)), default=0)


def expected_seconds(batch: Batch, book: RecordBook) -> float:
    """Return how long a batch will take."""
    if batch.is_restored:
        return 1.0
    known = max((record.seconds for record in _records(batch, book)), default=0.0)
    return known or _SECONDS[batch.kind]


def critical_paths(batches: Mapping[str, Batch], book: RecordBook) -> dict[str, float]:
    """Return, per batch, the seconds of the longest way from its start to the end of the run.

    What has the most behind it is best started first.
    """
    paths: dict[str, float] = {}
    needs = {key: batch.needs for key, batch in batches.items()}
    for key in reversed(tuple(graphlib.TopologicalSorter(needs).static_order())):
        seconds = paths.get(key, 0.0) + expected_seconds(batches[key], book)
        paths[key] = seconds
        for need in needs[key]:
            paths[need] = max(paths.get(need, 0.0), seconds)
    return paths


def _records(batch: Batch, book: RecordBook) -> list[Record]:
    found = (book.get(step.unit.id) for step in batch.steps)
    return [record for record in found if record is not None]
