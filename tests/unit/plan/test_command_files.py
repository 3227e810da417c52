"""What a command reads, by name and path, and what it made, by digest."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.plan.command_files import command_files, filled, glob_root, outputs_digest
from buildkit.plan.hashing import Hasher
from buildkit.plan.units import RunCommand


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    # A directory whose name looks like a glob.
    root = tmp_path / "mesh"
    for name in ("ui/a.ts", "ui/deep/b.ts", "ui/c.css", "ui/.git/x.ts", "ui/.env", "go.mod"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def command(root: Path, *inputs: str) -> RunCommand:
    return RunCommand(
        name="web",
        argv=("run", "${source}/x", "$${out}", "${out}"),
        env=(("TO", "${out}/y"),),
        directory=root,
        where="${source}",
        inputs=tuple((name, root / name) for name in inputs),
        outputs=("dist",),
        folder=root / "out",
        into_source=False,
        paths=(("source", root),),
        log=root / "log",
    )


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("go.mod", ["go.mod"]),
        ("ui", ["ui/.env", "ui/a.ts", "ui/c.css", "ui/deep/b.ts"]),
        ("ui/*.ts", ["ui/a.ts"]),
        ("ui/**/*.ts", ["ui/a.ts", "ui/deep/b.ts"]),
        ("ui/[ab].ts", ["ui/a.ts"]),
        ("gone", ["gone"]),
        ("ui/*.gone", ["ui/*.gone"]),
    ],
)
def test_files_by_name_and_path(tree: Path, written: str, names: list[str]) -> None:
    found = dict(command_files(command(tree, written)))
    assert sorted(found) == names
    assert found == {name: tree / name for name in names}


def test_an_output_in_the_source_is_no_input(tree: Path) -> None:
    action = replace(command(tree, "ui"), folder=tree, outputs=("ui/deep", "ui/c.css"))
    assert [name for name, _ in command_files(action)] == ["ui/.env", "ui/a.ts"]


@pytest.mark.parametrize(
    ("path", "root"),
    [("/a/b", "/a/b"), ("/a/*/b", "/a"), ("/a/b/**", "/a/b"), ("/a/x?/c", "/a"), ("/[a]", "")],
)
def test_the_root_of_a_glob(path: str, root: str) -> None:
    assert glob_root(path) == root


def test_the_digest_of_outputs_is_of_names_modes_and_contents(tree: Path) -> None:
    def digest() -> str:
        return outputs_digest(tree, ("ui", "go.mod"), Hasher({}))

    seen = [digest()]
    for change in (
        lambda: (tree / "ui/a.ts").write_text("other"),
        lambda: (tree / "ui/a.ts").chmod(0o755),
        lambda: (tree / "ui/a.ts").rename(tree / "ui/z.ts"),
        (tree / "go.mod").unlink,
    ):
        change()
        assert digest() not in seen
        seen.append(digest())


def test_paths_are_filled_in_when_it_runs(tree: Path) -> None:
    argv, env = filled(command(tree), Path("/stage"))
    assert argv == ("run", f"{tree}/x", "${out}", "/stage")
    assert env == {"TO": "/stage/y"}
