"""`plan`, `explain` and `graph` on a real module: they tell the truth and change nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from buildkit.digest import Digest
from tests.integration.tiny_project import APP, IMAGE, MAIN, TOOL, Tree

pytestmark = pytest.mark.go


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


READERS = (
    ("plan",),
    ("plan", "--json"),
    ("plan", "--stamp", "--json"),
    ("build", "docker", "--dry-run"),
    ("explain", "app"),
    ("explain", "app@linux/arm64", "--json"),
    ("graph",),
    ("cache",),
    ("doctor",),
)


def test_looking_changes_nothing(tree: Tree) -> None:
    def look() -> None:
        before = tree.snapshot()
        for words in READERS:
            tree.run(*words)
            assert tree.snapshot() == before, words

    look()
    tree.run("docker", "--no-push", "--no-load", "-p", "linux/amd64")
    # Records that are not up to date, a commit that moved, an output and a blob that are damaged.
    tree.write("cmd/app/main.go", MAIN % "changed")
    look()
    for path in (tree.root / "cache" / "blobs").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
            os.utime(path, (0, 0))
    (tree.place / "out" / "linux_amd64" / "app").unlink()
    look()


def test_the_plan_has_commands_digests_and_origins(tree: Tree) -> None:
    document = tree.document("plan", "--hub", "localhost:5999", "--tag", "1,2", "--no-load")
    assert document["version"]["origin"] == "git describe"
    (destination,) = document["destinations"]
    assert destination["hub"] == {"value": "localhost:5999", "origin": "--hub"}
    assert [tag["origin"] for tag in destination["tags"]] == ["--tag", "--tag"]
    units = {unit["id"]: unit for unit in document["units"]}
    assert units["push/app"]["tags"] == ["1", "2"]
    assert units["push/app"]["destinations"] == ["localhost:5999/app:1", "localhost:5999/app:2"]
    assert units["push/app"]["command"] is None
    assert units[APP]["inputs_digest"] is None
    assert units["base/static@linux/amd64"]["inputs_digest"] is not None
    assert units[APP]["command"] == units[TOOL]["command"]
    command = units[APP]["command"]
    assert command["argv"][-2:] == ["./cmd/app", "./cmd/tool"]
    assert command["environment"].items() >= {"GOOS": "linux", "CGO_ENABLED": "0"}.items()
    revision = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tree.place, text=True)
    assert f"-X=main.revision={revision.strip()}" in command["argv"][-3]


def test_the_command_of_an_explanation_makes_the_same_binary(tree: Tree) -> None:
    tree.run("build", "-p", "linux/amd64")
    (unit,) = tree.document("explain", APP)["units"]
    line = next(
        text.split(None, 1)[1]
        for text in tree.run("explain", APP).stdout.splitlines()
        if text.split()[:1] == ["command"]
    )
    stage = tree.root / "by hand"
    (stage / "call0").mkdir(parents=True)
    place = str(Path(unit["command"]["environment"]["GOTMPDIR"]))
    assert shlex.split(line)[:2] == ["cd", str(tree.place)]
    script = line.replace(shlex.quote(place), shlex.quote(str(stage)))
    script = script.replace(shlex.quote(f"{place}/call0/"), shlex.quote(f"{stage}/call0/"))
    subprocess.run(["sh", "-c", script], check=True)
    assert str(Digest.of_file(stage / "call0" / "app")) == unit["output"]["digest"]


def test_an_edit_is_explained_by_its_file_and_both_digests(tree: Tree) -> None:
    tree.run("build", "docker", "--no-push", "--no-load", "-p", "linux/amd64")
    source = tree.place / "cmd" / "app" / "main.go"
    before = str(Digest.of_file(source))
    first = tree.units("plan", "--no-push", "--no-load", "-p", "linux/amd64")
    assert {unit["verdict"] for unit in first.values()} == {"CACHED"}
    tree.write("cmd/app/main.go", MAIN % "changed")
    units = tree.units("explain", "app", "--no-push", "--no-load", "-p", "linux/amd64")
    assert units.keys() == {APP, IMAGE}
    assert units[APP]["changes"] == [
        {"name": "cmd/app/main.go", "before": before, "after": str(Digest.of_file(source))}
    ]
    assert units[APP]["inputs_digest"] not in {None, first[APP]["inputs_digest"]}
    assert (units[APP]["record"]["seconds"] > 0, units[APP]["output"]["cached"]) == (True, True)
    assert units[IMAGE]["verdict"] == "RUN"
    assert units[IMAGE]["inputs_digest"] is None
    assert {need["id"]: need["verdict"] for need in units[IMAGE]["needs"]}[APP] == "RUN"
    text = tree.run("explain", APP).stdout
    assert f"changed  cmd/app/main.go changed: {before[:19]} -> " in text


def test_another_platform_is_explained_without_being_chosen(tree: Tree) -> None:
    units = tree.units("explain", "app@linux/arm64")
    assert units.keys() == {"binary/app@linux/arm64", "image/app@linux/arm64"}
    (missing,) = tree.document("explain", "tool@linux/arm64")["units"]
    assert missing == {
        "id": "binary/tool@linux/arm64",
        "verdict": "SKIP",
        "reason": "targets.toml does not build it for this platform",
    }


def test_the_graph_has_every_unit_of_the_plan(tree: Tree) -> None:
    chart = tree.run("graph", "--no-load", "--hub", "localhost:5999").stdout
    units = tree.units("plan", "--no-load", "--hub", "localhost:5999")
    assert chart.startswith("flowchart LR\n")
    assert chart.count('["') == len(units) + len({"linux/amd64", "linux/arm64"})
    assert chart.count(" --> ") == sum(len(unit.get("needs", ())) for unit in units.values())


def test_a_collected_cache_leaves_every_next_run_right(tree: Tree) -> None:
    words = ("--no-push", "--no-load", "--layout", "-p", "linux/amd64")
    tree.run("build", "docker", *words)
    before = {path: path.read_bytes() for path in (tree.place / "out").rglob("app")}
    tree.run("cache", "--max-size", "0")
    assert not [path for path in (tree.root / "cache" / "blobs").rglob("*") if path.is_file()]
    shutil.rmtree(tree.place / "out" / "oci")
    (tree.place / "out" / "linux_amd64" / "app").unlink()
    tree.run("build", "docker", *words)
    assert {path: path.read_bytes() for path in (tree.place / "out").rglob("app")} == before
    again = tree.units("plan", *words)
    assert {unit["verdict"] for unit in again.values()} == {"CACHED"}
