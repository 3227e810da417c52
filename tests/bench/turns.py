"""Every tool takes its turn in every round, so that a busy minute is bad for all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import Cost, Job, measure
from tests.bench.results import IMPORT, Results

Turn = Callable[[], Cost]
"""Does the same work once more, and checks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Who notes what turns cost.

    Attributes:
        rounds: how often each turn is taken.
        tell: takes what happens.
        results: grows.
    """

    rounds: int
    tell: Callable[[str], None]
    results: Results

    def alternate(
        self,
        scenario: str,
        turns: Mapping[str, Turn],
        before: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Let tools take their turns, with ``before`` at the beginning of each round."""
        for number in range(self.rounds):
            before(number)
            # Whoever goes first finds the caches colder, so that changes from round to round.
            for name in tuple(turns)[:: -1 if number % 2 else 1]:
                cost = turns[name]()
                self.tell(f"{scenario}: {name}: {cost.seconds:.2f} s, {cost.cpu:.2f} s of a core")
                self.results.add(scenario, name, cost)


def bare_import(folder: Path) -> Turn:
    """Return the turn of a Python that loads Invoke and ends."""
    job = Job(phases=(((sys.executable, "-c", IMPORT),),), folder=folder)
    return lambda: measure(job)
