"""What a call loads: starting Python is most of what a build with nothing to do costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.tiny_project import Tree

pytestmark = pytest.mark.go

SMALL = frozenset({"msgspec", "packaging", "tomli", "typing_extensions"})
"""What a build with nothing to do needs beside Invoke and the standard library."""
OWN = frozenset(
    [
        "config",
        "decoding",
        "digest",
        "errors",
        "execute",
        "flags",
        "glibc",
        "goals",
        "intact",
        "locks",
        "log",
        "memory",
        "pipeline",
        "plan",
        "platform",
        "proc",
        "program",
        "reference",
        "store",
        "tasks",
        "toolchain",
        "vcs",
    ]
)
"""What it needs of ours."""
LISTED = frozenset({"errors", "flags", "goals", "log", "plan", "program", "tasks"})
"""What a list of the tasks needs of ours."""
UNPLANNED = frozenset(["adopt", "attest", "publish", "release", "verify"])
"""What no build and no plan needs of ours."""

_PROGRAM = """\
import json, sys
import invoke
before = set(sys.modules)
from buildkit.tasks import main
try:
    main()
except SystemExit as end:
    assert not end.code, end
finally:
    print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr)
"""


@pytest.fixture(scope="module", autouse=True)
def developer() -> Iterator[None]:
    """In CI the commit's revision counts, so git is asked each time; at a desk it is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CI", raising=False)
        yield


@pytest.fixture(scope="module")
def tree(developer: None, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Return a project of which everything was built."""
    del developer
    tree = Tree(tmp_path_factory.mktemp("imports"))
    tree.run("build", "docker", "--no-push", "--no-load", "-p", "linux/amd64")
    return tree


def loaded(tree: Tree, *words: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return which modules of others and which of ours a call loads, by their first names."""
    env = {**os.environ, "MESHWRIGHT_CACHE": str(tree.root / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words],
        cwd=tree.place,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [name.split(".") for name in json.loads(done.stderr.splitlines()[-1])]
    own = frozenset(parts[1] for parts in names if parts[0] == "buildkit" and len(parts) > 1)
    others = {parts[0] for parts in names} - {"buildkit"} - sys.stdlib_module_names
    # Compiled wheels of tomli have a module of their own, named after a digest.
    return frozenset(name for name in others if not name.endswith("__mypyc")), own


def test_a_list_of_tasks_loads_nothing_of_a_build(tree: Tree) -> None:
    others, own = loaded(tree, "--list")
    assert (others, own) == (frozenset({"msgspec", "typing_extensions"}), LISTED)


@pytest.mark.parametrize("words", [("build",), ("build", "--dry-run"), ("build", "plan")])
def test_a_build_with_nothing_to_do_loads_what_is_named_here_alone(
    tree: Tree, words: tuple[str, ...]
) -> None:
    others, own = loaded(tree, *words, "-p", "linux/amd64")
    assert (others, own) == (SMALL, OWN)


@pytest.mark.parametrize("words", [("docker", "--no-push", "--no-load"), ("plan",), ("graph",)])
def test_images_with_nothing_to_do_load_neither_clients_nor_templates(
    tree: Tree, words: tuple[str, ...]
) -> None:
    others, own = loaded(tree, *words, "-p", "linux/amd64")
    # A plan that may push looks whether the hub answers; where nothing listens, that is all.
    asks = frozenset({"urllib3"}) if words[0] != "docker" else frozenset[str]()
    assert SMALL <= others <= SMALL | asks
    assert not own & UNPLANNED
