"""The measurements run, and see whether what they measure did its work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from buildkit.errors import BuildError
from tests.bench.build import bench_build
from tests.bench.build_results import Scenario as BuildScenario
from tests.bench.gomodule import GoModule
from tests.bench.image_results import Scenario
from tests.bench.images import bench_images
from tests.bench.measure import Job, measure
from tests.bench.workload import SIZES, Workload
from tests.integration.tiny import x86_64


def job(folder: Path, *scripts: str) -> Job:
    return Job(phases=tuple((("sh", "-c", script),) for script in scripts), folder=folder)


def test_a_measurement_has_time_memory_and_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(3_000_000))
    cost = measure(job(tmp_path, "cat file >copy; echo one", "sleep 0.2; echo two"))
    assert cost.output == "one\ntwo\n"
    assert cost.seconds >= 0.2
    assert 100_000 < cost.peak < 100_000_000
    assert cost.read > 3_000_000 or not Path("/proc/self/io").exists()


def test_a_phase_that_fails_ends_the_measurement(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        measure(job(tmp_path, "echo why; exit 3", "touch later"))
    assert "ended with 3\nwhy" in caught.value.details
    assert not (tmp_path / "later").exists()


def test_programs_have_their_size_and_change_in_one_place(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.write_bytes(x86_64(os.urandom(300_000)))
    made = Workload(folder=tmp_path / "work", code=code, platform="linux/amd64", scale=50)
    made.create()
    assert {name: made.program(name).stat().st_size for name in SIZES} == {
        name: size * 1_000_000 // 50 for name, size in SIZES.items()
    }
    before = made.program("four").read_bytes()
    made.change(1)
    after = made.program("four").read_bytes()
    assert len(after) == len(before)
    assert 0 < sum(a != b for a, b in zip(before, after, strict=True)) <= 16


@pytest.mark.go
@pytest.mark.docker
@pytest.mark.registry
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_tool_takes_its_turns(tmp_path: Path) -> None:
    results = bench_images(tmp_path, rounds=2, tell=lambda _: None, scale=100)
    tools = {
        scenario: {tool for found, tool in results.costs if found is scenario}
        for scenario in Scenario
    }
    assert tools == {
        Scenario.NOTHING: {"import invoke", "ours", "ko", "docker"},
        Scenario.CHANGED: {"ours", "crane", "crane, stored"},
        Scenario.FIRST: {"ours", "crane", "crane, stored", "docker"},
    }
    assert {len(costs) for costs in results.costs.values()} == {2}
    named = {item.name: item for item in results.comparisons()}
    assert named["largest resident set"].met
    json.dumps(results.document())


@pytest.mark.go
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_compiler_of_a_matrix_takes_its_turns(tmp_path: Path) -> None:
    results = bench_build(
        tmp_path / "tools",
        GoModule(folder=tmp_path / "module").divided(40),
        gocache=tmp_path / "gocache",
        rounds=1,
        cold=True,
        tell=lambda _: None,
    )
    whole = {"go build by hand", "ours", "goreleaser"}
    tools = {
        scenario: {tool for found, tool in results.costs if found is scenario}
        for scenario in BuildScenario
    }
    assert tools == {
        BuildScenario.NOTHING: {"import invoke", *whole},
        BuildScenario.LIST: {"import invoke", "ours"},
        BuildScenario.COMMIT: whole,
        BuildScenario.LEAF: {"the one go build", *whole},
        BuildScenario.COLD: whole,
    }
    named = {(item.scenario, item.name): item for item in results.comparisons()}
    assert named[BuildScenario.COMMIT, "binaries linked again"].met
    assert not (tmp_path / "module").exists()
