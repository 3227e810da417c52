"""What is written for people: a JSON document and a picture, with no path of the machine."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.gomodule import GoModule
from tests.bench.report import write_build
from tests.bench.surroundings import Surroundings
from tests.unit.bench.costs import WARM, measured

PLACE = Surroundings(
    processor="Fast",
    cores=2,
    memory=2**33,
    load=0.1,
    system="Debian",
    tools={"Go": "1.26.8", "GoReleaser": "2.12.7"},
)


def test_both_files_tell_what_was_measured_on_which_machine(tmp_path: Path) -> None:
    module = GoModule(folder=tmp_path / "module").divided(40)
    docs = tmp_path / "docs" / "benchmarks"
    write_build(docs, measured(WARM), module, PLACE)
    assert {path.name for path in docs.iterdir()} == {"build.json", "build.svg"}
    found = json.loads((docs / "build.json").read_text())
    assert found["machine"]["cores"] == 2
    assert found["machine"]["tools"] == {"Go": "1.26.8", "GoReleaser": "2.12.7"}
    assert found["module"]["binaries"] == 8
    assert found["module"]["groups"] == 2
    assert "darwin" in found["absent"]["ko"]
    assert {item["met"] for item in found["comparisons"] if item["limit"] is not None} == {
        True,
        False,
    }
    picture = (docs / "build.svg").read_text()
    assert f"module of {found['module']['packages']} packages" in picture
    assert "2 cores (Fast), 8 GiB, Debian; Go 1.26.8, GoReleaser 2.12.7" in picture
    assert str(tmp_path) not in picture + (docs / "build.json").read_text()


def test_a_second_run_takes_the_place_of_the_first(tmp_path: Path) -> None:
    module = GoModule(folder=tmp_path / "module").divided(40)
    write_build(tmp_path, measured(WARM), module, PLACE)
    before = (tmp_path / "build.svg").read_text()
    cold = {"cold matrix": {"go build by hand": 100.0, "ours": 90.0, "goreleaser": 200.0}}
    write_build(tmp_path, measured({**WARM, **cold}), module, PLACE)
    assert "cold matrix" not in before
    assert "cold matrix" in (tmp_path / "build.svg").read_text()
