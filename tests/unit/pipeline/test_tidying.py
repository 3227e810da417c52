"""What a killed run left below ``out/`` goes; what is anybody else's stays."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from buildkit.pipeline.tidying import tidy_out
from buildkit.plan.planner import Plan
from buildkit.plan.units import Kind, Step, Unit, Verdict, WriteLayout
from tests.fakes.units import binary, compile_action, package, running

LEFT = (
    ".buildkit/.records.json.abcd_123.tmp",
    ".buildkit/tmp/tmp1/call0/app",
    ".buildkit/images/linux_amd64/.pilot.json.abcd_123.tmp",
    "linux_amd64/.app.abcd_123.tmp",
    "oci/.index.json.abcd_123.tmp",
    "linux_amd64/release/.app.deb.abcd_123.tmp",
)
STAYS = (
    ".buildkit/records.json",
    ".buildkit/images/linux_amd64/pilot.json",
    "linux_amd64/app",
    "linux_amd64/.other.abcd_123.tmp",
    "linux_amd64/.app.tmp",
    "oci/index.json",
    "oci/blobs/sha256/.0.abcd_123.tmp",
)


def populate(out: Path) -> None:
    for name in (*LEFT, *STAYS):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def files(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def steps(out: Path) -> tuple[Step, ...]:
    action = WriteLayout(name="x", images=(), references=(), folder=out / "oci", compress=True)
    return (
        running(package("app", out / "linux_amd64" / "release" / "app.deb")),
        running(binary("app", compile_action(out, out / "linux_amd64" / "app"))),
        running(Unit(kind=Kind.LAYOUT, name="x", platform=None, action=action)),
    )


def test_leftovers_of_outputs_and_records_go_and_nothing_else(tmp_path: Path) -> None:
    populate(tmp_path)
    tidy_out(tmp_path / ".buildkit", Plan(steps=steps(tmp_path), artifacts={}))
    assert files(tmp_path) == set(STAYS)


def test_where_nothing_runs_outputs_are_not_looked_at(tmp_path: Path) -> None:
    populate(tmp_path)
    cached = tuple(replace(step, verdict=Verdict.CACHED) for step in steps(tmp_path))
    tidy_out(tmp_path / ".buildkit", Plan(steps=cached, artifacts={}))
    assert files(tmp_path) == {*STAYS, *LEFT[2:]}


def test_a_first_run_finds_nothing(tmp_path: Path) -> None:
    tidy_out(tmp_path / "out" / ".buildkit", Plan(steps=steps(tmp_path / "out"), artifacts={}))
    assert list(tmp_path.iterdir()) == []
