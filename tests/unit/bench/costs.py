"""Made-up costs, for what is done with real ones."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.bench.build_results import BuildResults
from tests.bench.measure import Cost


def cost(seconds: float, cpu: float = 1.0, done: Iterable[str] = ()) -> Cost:
    units = [{"id": name, "status": "done"} for name in done]
    units += [{"id": "binary/x@linux/arm64", "status": "cached"}]
    output = json.dumps({"units": units})
    return Cost(seconds=seconds, cpu=cpu, peak=20_000_000, read=5, output=output)


def measured(times: dict[str, dict[str, float]]) -> BuildResults:
    """Return results of one round."""
    results = BuildResults()
    for scenario, tools in times.items():
        for tool, seconds in tools.items():
            results.add(scenario, tool, cost(seconds))
    return results


WARM = {
    "nothing changed": {
        "import invoke": 0.1,
        "go build by hand": 4.0,
        "ours": 0.2,
        "goreleaser": 20.0,
    },
    "invoke --list": {"import invoke": 0.1, "ours": 0.3},
    "a commit without Go files": {"go build by hand": 30.0, "ours": 0.2, "goreleaser": 30.0},
    "one leaf edited, one platform": {
        "the one go build": 0.6,
        "ours": 0.8,
        "go build by hand": 2.0,
        "goreleaser": 2.5,
    },
}
