"""Any kind of tree is built, with what git says of it and without a setting of the user's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.tiny_project import PROJECT, Tree

pytestmark = pytest.mark.go
OTHER_USER = 12345
IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.com")


def git(tree: Path, *words: str) -> str:
    argv = ["git", *IDENTITY, "-c", "protocol.file.allow=always", *words]
    done = subprocess.run(argv, cwd=tree, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A targets file, and what a program of the tree must say of itself."""

    targets: Path
    version: str
    revision: str


class Maker:
    """Makes trees of every kind out of the same project."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree(root)
        self.root = root
        self.origin = self.tree.place
        git(self.origin, "tag", "1.2.3")
        self.revision = git(self.origin, "rev-parse", "HEAD")

    def targets(self, source: str) -> Path:
        """Write a targets file in a place of its own."""
        text = PROJECT.replace('source = "."', f"source = {source}")
        folder = self.root / "own"
        (folder / "images" / "app").mkdir(parents=True)
        shutil.copy(self.origin / "images" / "app" / "Dockerfile.j2", folder / "images" / "app")
        (folder / "targets.toml").write_text(text)
        return folder / "targets.toml"

    def of(self, tree: Path, version: str = "1.2.3", revision: str = "") -> Place:
        targets = self.targets(json.dumps(str(tree)))
        return Place(targets=targets, version=version, revision=revision or self.revision)


def worktree(maker: Maker) -> Place:
    git(maker.origin, "worktree", "add", "--quiet", "-b", "side", str(maker.root / "side"))
    return maker.of(maker.root / "side")


def submodule(maker: Maker) -> Place:
    above = maker.root / "above"
    above.mkdir()
    git(above, "init", "--quiet")
    git(above, "submodule", "--quiet", "add", str(maker.origin), "mesh")
    git(above, "commit", "--quiet", "--message", "x")
    return maker.of(above / "mesh")


def shallow_clone(maker: Maker) -> Place:
    clone = maker.root / "clone"
    git(maker.root, "clone", "--quiet", "--depth=1", f"file://{maker.origin}", str(clone))
    return maker.of(clone)


def detached_head(maker: Maker) -> Place:
    git(maker.origin, "commit", "--quiet", "--allow-empty", "--message", "y")
    git(maker.origin, "checkout", "--quiet", "--detach", maker.revision)
    return maker.of(maker.origin)


def without_a_tag(maker: Maker) -> Place:
    git(maker.origin, "tag", "--delete", "1.2.3")
    return maker.of(maker.origin, version=maker.revision[:7])


def bare_tarball(maker: Maker) -> Place:
    tree = maker.root / "plain"
    tree.mkdir()
    git(maker.origin, "archive", "--format=tar", "--output", str(tree / "x.tar"), "HEAD")
    shutil.unpack_archive(tree / "x.tar", tree)
    return maker.of(tree, version="0.0.0-dev", revision="unknown")


def of_another_user(maker: Maker) -> Place:
    if os.getuid() == 0:
        for path in (maker.origin, *maker.origin.rglob("*")):
            os.chown(path, OTHER_USER, OTHER_USER, follow_symlinks=False)
    else:
        os.environ["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"
    with pytest.raises(subprocess.CalledProcessError):
        git(maker.origin, "status")
    return maker.of(maker.origin)


def untracked_files(maker: Maker) -> Place:
    (maker.origin / "notes.txt").write_text("mine")
    (maker.origin / "cmd" / "tool" / "notes.txt").write_text("mine")
    return maker.of(maker.origin)


def a_changed_file(maker: Maker) -> Place:
    (maker.origin / "go.mod").write_text("module example.com/tiny\n\ngo 1.20\n// mine\n")
    return maker.of(maker.origin, revision=f"{maker.revision}-dirty")


def a_tag_in_git(maker: Maker) -> Place:
    url = f"file://{maker.origin}"
    targets = maker.targets(f'{{ git = "{url}", ref = "1.2.3" }}')
    maker.tree.run("lock", "--only", "source", "--targets", str(targets))
    return Place(targets=targets, version="1.2.3", revision=maker.revision)


def an_archive(maker: Maker) -> Place:
    # A repository above the cache is not the tree's own.
    git(maker.root, "init", "--quiet")
    git(maker.root, "commit", "--quiet", "--allow-empty", "--message", "of the home directory")
    path = maker.root / "mesh-1.2.3.tar.gz"
    words = ("archive", "--format=tar.gz", "--prefix=mesh-1.2.3/", "--output", str(path), "HEAD")
    git(maker.origin, *words)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    targets = maker.targets(f'{{ url = "file://{path}", sha256 = "{sha256}" }}')
    return Place(targets=targets, version="0.0.0-dev", revision="unknown")


@pytest.mark.parametrize(
    "make",
    [
        worktree,
        submodule,
        shallow_clone,
        detached_head,
        without_a_tag,
        bare_tarball,
        of_another_user,
        untracked_files,
        a_changed_file,
        a_tag_in_git,
        an_archive,
    ],
)
def test_a_tree_is_built(
    tmp_path: Path,
    isolated_user: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Maker], Place],
) -> None:
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", raising=False)
    maker = Maker(tmp_path)
    place = make(maker)
    words = ("build", "--only", "tool", "-p", "linux/amd64", "--targets", str(place.targets))
    maker.tree.run(*words)
    program = place.targets.parent / "out" / "linux_amd64" / "tool"
    done = subprocess.run([program], check=True, capture_output=True, text=True)
    assert done.stderr.split() == [place.version, place.revision, "tool"]
    (unit,) = maker.tree.units("plan", *words[1:])
    assert maker.tree.units("plan", *words[1:])[unit]["verdict"] == "CACHED"
    assert not (isolated_user / ".gitconfig").exists()


def test_a_tree_in_git_needs_its_origin_once(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    place = a_tag_in_git(maker)
    maker.origin.rename(tmp_path / "gone")
    words = ("--only", "tool", "-p", "linux/amd64", "--targets", str(place.targets), "--offline")
    maker.tree.place.mkdir()
    plan = maker.tree.run("plan", *words).stdout
    assert f"source file://{maker.origin} at 1.2.3, commit {maker.revision}" in plan
    lock = (place.targets.parent / "targets.lock").read_text()
    assert f'commit = "{maker.revision}"' in lock
