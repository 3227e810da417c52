"""What is made again and what is not, by the program itself: every verdict with its reason."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.tiny_project import APP, IMAGE, MAIN, PROJECT, TOOL, Tree

pytestmark = pytest.mark.go

PROXY, PROXY_IMAGE = "fetch/proxy@linux/amd64", "image/proxy@linux/amd64"
FLAGS = ("--platform", "linux/amd64", "--no-push", "--no-load")
MAKE = ("build", "docker", *FLAGS)
UP_TO_DATE = ("CACHED", "up to date")
MADE_BEFORE = "made before from the same inputs"

FETCHED = """\
[version]
file = "VERSION"
[fetch.proxy]
version = "1"
source = [{ url = "file://%s/proxy-${version}", platforms = ["linux/amd64"] }]
[images.proxy]
base = ["static"]
binaries = ["proxy"]
files = { "conf.json" = "conf.json" }
platforms = ["linux/amd64"]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tree of every test lies, and beside it what the first one made."""
    return tmp_path_factory.mktemp("verdicts")


@pytest.fixture
def tree(place: Path, machine: None) -> Tree:
    """A tree that was built; the first test makes it, for the others it is put back."""
    del machine
    root, kept = place / "root", place / "kept"
    if not kept.exists():
        made = _make(root)
        shutil.copytree(root, kept, symlinks=True)
        return made
    shutil.rmtree(root)
    shutil.copytree(kept, root, symlinks=True)
    found = Tree.__new__(Tree)
    found.root, found.place = root, root / "mesh"
    return found


def _make(root: Path) -> Tree:
    made = Tree(root)
    made.write("targets.toml", PROJECT + FETCHED % root)
    made.write("VERSION", "1.0")
    made.write("conf.json", "{}")
    made.write("images/proxy/Dockerfile.j2", "FROM {{ base }}\nCOPY proxy conf.json /\n")
    for number, name in ((1, "app"), (2, "tool")):
        subprocess.run(
            ["go", "build", "-o", str(root / f"proxy-{number}"), f"./cmd/{name}"],
            cwd=made.place,
            check=True,
        )
    made.run("lock", "--only", "proxy")
    git(made.place, "add", ".")
    git(made.place, "commit", "-qm", "proxy")
    # What is younger than a clock tick is never claimed by a record.
    time.sleep(0.06)
    made.run(*MAKE)
    return made


def git(place: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=place, check=True
    )


def verdicts(tree: Tree, *words: str) -> dict[str, tuple[str, str]]:
    units = tree.units("plan", *FLAGS, *words)
    return {name: (unit["verdict"], unit["reason"]) for name, unit in units.items()}


def running(tree: Tree, *words: str) -> dict[str, str]:
    """Return the reasons of what would be made again; everything else is up to date."""
    found = verdicts(tree, *words)
    assert {pair for pair in found.values() if pair[0] != "RUN"} <= {UP_TO_DATE}
    return {name: reason for name, (verdict, reason) in found.items() if verdict == "RUN"}


def test_nothing_changed(tree: Tree) -> None:
    assert set(verdicts(tree).values()) == {UP_TO_DATE}
    assert {APP, TOOL, IMAGE, PROXY, PROXY_IMAGE} <= verdicts(tree).keys()


def test_a_commit_without_a_change_of_sources_makes_nothing_again(tree: Tree) -> None:
    git(tree.place, "commit", "--allow-empty", "-qm", "empty")
    assert running(tree) == {}
    stamped = running(tree, "--stamp")
    assert stamped[APP] == stamped[TOOL] == "stamp main.revision is new"


def test_a_checkout_of_another_branch_and_back(tree: Tree) -> None:
    git(tree.place, "checkout", "-qb", "other")
    tree.write("cmd/app/main.go", MAIN % "other")
    git(tree.place, "commit", "-qam", "other")
    reasons = running(tree)
    assert reasons == {APP: "cmd/app/main.go changed", IMAGE: f"needs {APP}"}
    time.sleep(0.06)
    tree.run(*MAKE)
    git(tree.place, "checkout", "-q", "-")
    found = verdicts(tree)
    assert found[APP] == ("RESTORED", f"cmd/app/main.go changed; {MADE_BEFORE}")
    assert found[IMAGE] == ("RUN", "file app changed")
    tree.run(*MAKE)
    assert set(verdicts(tree).values()) == {UP_TO_DATE}


def test_a_moved_clone_makes_nothing_again(tree: Tree) -> None:
    (tree.root / "moved").mkdir()
    tree.place = tree.place.rename(tree.root / "moved" / "deeper")
    assert running(tree) == {}
    # What lies elsewhere now is read: its layers have the digests that the image names.
    made = {u["id"]: u["status"] for u in tree.document(*MAKE, "--save", "oci-archive")["units"]}
    assert made[IMAGE] == made[PROXY_IMAGE] == "cached"
    assert {made[name] for name in made if name.startswith("oci-archive/")} == {"done"}


@pytest.mark.parametrize("how", ["worktree", "clone", "archive"])
def test_the_same_sources_elsewhere_compile_nothing(tree: Tree, how: str) -> None:
    other = tree.root / "elsewhere" / how
    other.parent.mkdir()
    match how:
        case "worktree":
            git(tree.place, "worktree", "add", "-q", "--detach", str(other))
        case "clone":
            git(tree.root, "clone", "-q", str(tree.place), str(other))
        case _:
            other.mkdir()
            git(tree.place, "archive", "-o", str(tree.root / "a.tar"), "HEAD")
            subprocess.run(["tar", "-xf", str(tree.root / "a.tar"), "-C", str(other)], check=True)
    tree.place = other
    found = verdicts(tree)
    assert found[APP] == found[TOOL] == ("RESTORED", f"never made here; {MADE_BEFORE}")
    statuses = {u["id"]: u["status"] for u in tree.document(*MAKE)["units"]}
    assert statuses[APP] == statuses[TOOL] == "restored"


def test_a_pin_concerns_what_is_made_of_it(tree: Tree) -> None:
    text = (tree.place / "targets.toml").read_text()
    tree.write("targets.toml", text.replace('version = "1"', 'version = "2"'))
    tree.run("lock", "--only", "proxy")
    assert running(tree) == {PROXY: "the pins changed", PROXY_IMAGE: f"needs {PROXY}"}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("images/proxy/Dockerfile.j2", "FROM {{ base }}\nCOPY proxy /\n", "the template changed"),
        ("conf.json", "[]", "file conf.json changed"),
    ],
)
def test_what_an_image_copies_concerns_that_image(
    tree: Tree, name: str, text: str, reason: str
) -> None:
    tree.write(name, text)
    assert running(tree) == {PROXY_IMAGE: reason}


def test_a_stable_stamp_concerns_every_program(tree: Tree) -> None:
    reasons = running(tree, "--version", "2.0")
    assert set(reasons) == {APP, TOOL, IMAGE, PROXY_IMAGE}
    assert reasons[APP] == reasons[TOOL] == "stamp main.version changed from '1.0' to '2.0'"


def test_what_the_file_no_longer_has_is_told_and_removed(tree: Tree) -> None:
    output = tree.place / "out" / "linux_amd64" / "tool"
    assert output.exists()
    lines = [line for line in PROJECT.splitlines(keepends=True) if not line.startswith("tool =")]
    tree.write("targets.toml", "".join(lines) + FETCHED % tree.root)
    told = f"{TOOL} is no longer in targets.toml"
    assert told in tree.run("plan", *FLAGS).stdout
    assert output.exists()
    assert told in tree.run(*MAKE).stderr
    assert not output.exists()
    assert told not in tree.run("plan", *FLAGS).stdout
