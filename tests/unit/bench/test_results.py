"""What is wanted is compared with medians; each goal has its verdict."""

from __future__ import annotations

import pytest

from tests.bench.build_results import BuildResults, done
from tests.bench.results import Comparison
from tests.unit.bench.costs import WARM, cost, measured


def goals(results: BuildResults) -> dict[tuple[str, str], Comparison]:
    return {
        (item.scenario, item.name): item for item in results.comparisons() if item.limit is not None
    }


def test_every_goal_of_a_warm_run_has_a_verdict() -> None:
    found = goals(measured(WARM))
    assert {key: (round(item.value, 3), item.limit, item.met) for key, item in found.items()} == {
        ("nothing changed", "beyond import invoke"): (0.1, 0.15, True),
        ("invoke --list", "in all"): (0.3, 0.25, False),
        ("one leaf edited, one platform", "beyond the one go build"): (0.2, 0.3, True),
        ("a commit without Go files", "binaries linked again"): (0, 0, True),
        ("nothing changed", "of the time of go build by hand"): (0.05, 0.125, True),
        ("nothing changed", "of the time of goreleaser"): (0.01, 0.02, True),
    }


@pytest.mark.parametrize(("ours", "met"), [(101.9, True), (102.1, False)])
def test_a_cold_matrix_is_compared_with_both(ours: float, met: bool) -> None:
    cold = {"go build by hand": 100.0, "ours": ours, "goreleaser": 200.0}
    found = goals(measured({**WARM, "cold matrix": cold}))
    assert found["cold matrix", "of the time of go build by hand"].met is met
    assert found["cold matrix", "of the time of goreleaser"].met is True


def test_a_binary_that_a_commit_relinks_misses_the_goal() -> None:
    results = measured(WARM)
    made = ("binary/ctl@linux/amd64", "binary/ctl@linux/arm64")
    results.add("a commit without Go files", "ours", cost(0.2, done=made))
    linked = goals(results)["a commit without Go files", "binaries linked again"]
    assert (linked.value, linked.met) == (2, False)


def test_one_slow_turn_does_not_move_the_median() -> None:
    results = measured(WARM)
    for seconds in (0.21, 9.0):
        results.add("nothing changed", "ours", cost(seconds))
    assert results.seconds("nothing changed", "ours") == 0.21
    assert dict(zip(("scenario", "tool", "median", "range"), results.rows()[2], strict=False)) == {
        "scenario": "nothing changed",
        "tool": "ours",
        "median": "0.21 s",
        "range": "0.20 to 9.00",
    }


def test_cores_are_compared_where_both_had_some() -> None:
    results = measured(WARM)
    results.add("nothing changed", "goreleaser", cost(20, cpu=3.0))
    found = {(item.scenario, item.name): item.value for item in results.comparisons()}
    assert found["nothing changed", "of the cores' time of goreleaser"] == 1 / 2


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0123, "", "0.012"),
        (0.8, "", "0.80"),
        (0.314, " s", "0.31 s"),
        (0, "", "0"),
        (-0.01, " s", "-0.010 s"),
    ],
)
def test_small_numbers_keep_their_digits(value: float, unit: str, shown: str) -> None:
    assert Comparison(name="", value=value, unit=unit).shown == shown


def test_the_document_has_every_turn_and_every_verdict() -> None:
    document = measured(WARM).document()
    assert document["measured"][3]["seconds"] == [20.0]
    assert {
        "scenario": "invoke --list",
        "name": "in all",
        "value": 0.3,
        "unit": "s",
        "limit": 0.25,
        "met": False,
    } in document["comparisons"]


def test_units_that_were_made_are_told_from_those_that_were_there() -> None:
    assert done(cost(1, done=["binary/a@linux/amd64"]).output) == {"binary/a@linux/amd64"}
