"""A source that is fetched: which tables are right, and which commit is meant."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from buildkit.config.load import load_project
from buildkit.config.lock import Lock, SourcePin, save_lock
from buildkit.config.model import RemoteTree
from buildkit.config.remote_tree import pinned_commit
from buildkit.errors import ConfigError, UsageError
from tests.unit.config.parsing import parse_config

COMMIT = "0123456789" * 4
SHA256 = "ab" * 32
TAGGED = RemoteTree(git="https://example.com/mesh", ref="1.2.3")


def text(source: str) -> str:
    return (
        f'schema_version = 1\n[project]\nname = "mesh"\nsource = {source}\n'
        '[matrix]\nplatforms = ["linux/amd64"]\n'
    )


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        (
            '{ git = "https://example.com/mesh", ref = "release-1.28", submodules = true }',
            RemoteTree(git="https://example.com/mesh", ref="release-1.28", submodules=True),
        ),
        (
            f'{{ url = "file:///mesh.tar.gz", sha256 = "{SHA256}" }}',
            RemoteTree(url="file:///mesh.tar.gz", sha256=SHA256),
        ),
    ],
)
def test_a_tree_that_is_fetched(tmp_path: Path, source: str, tree: RemoteTree) -> None:
    targets = tmp_path / "targets.toml"
    targets.write_text(text(source))
    found = load_project(targets, obtain=lambda *_: tmp_path)
    assert found.config.project.source == tree
    assert found.source == tmp_path


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{}", "give either git or url"),
        ('{ git = "g", url = "https://x/y", ref = "1" }', "give either git or url"),
        ('{ git = "g" }', "project.source.ref: required with git"),
        ('{ git = "g", reff = "1" }', "project.source.reff: unknown key; did you mean 'ref'?"),
        ('{ git = "--upload-pack=x", ref = "1" }', "is no URL"),
        ('{ git = "g", ref = "--all" }', "'--all' is no tag, branch or commit"),
        ('{ git = "g", ref = "main:x" }', "'main:x' is no tag, branch or commit"),
        ('{ git = "g", ref = "a..b" }', "'a..b' is no tag, branch or commit"),
        ('{ git = "https://me:pw@example.com/x", ref = "1" }', "a password in a URL"),
        (f'{{ git = "g", ref = "1", sha256 = "{SHA256}" }}', "goes with url alone"),
        (f'{{ url = "ftp://x/y", sha256 = "{SHA256}" }}', "is no https or file URL"),
        ('{ url = "https://x/y" }', "project.source.sha256: required with url"),
        ('{ url = "https://x/y", sha256 = "AB" }', "'AB' is no sha256"),
        (f'{{ url = "https://x/y", sha256 = "{SHA256}", ref = "1" }}', "goes with git alone"),
    ],
)
def test_a_wrong_table_is_told_in_one_line(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text(source), "targets.toml", tmp_path)
    assert said in caught.value.details
    assert len(caught.value.details.splitlines()) == 1
    assert "pw" not in caught.value.details.replace("me:pw", "")


def test_a_whole_commit_needs_no_lock() -> None:
    tree = RemoteTree(git="g", ref=COMMIT)
    assert pinned_commit(tree, Lock()) == SourcePin(ref=COMMIT, commit=COMMIT)


def test_a_tag_means_what_the_lock_pins() -> None:
    pin = SourcePin(ref="1.2.3", commit=COMMIT, tag="1.2.3")
    assert pinned_commit(TAGGED, Lock(source=pin)) == pin


@pytest.mark.parametrize(
    ("pin", "said"),
    [(None, "is not locked"), (SourcePin(ref="1.2.2", commit=COMMIT), "out of date")],
)
def test_without_its_pin_a_ref_is_refused(pin: SourcePin | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        pinned_commit(TAGGED, Lock(source=pin))
    assert "invoke lock" in caught.value.resolution


def test_a_project_takes_the_tree_that_was_obtained(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(text('{ git = "g", ref = "1" }'))
    save_lock(tmp_path / "targets.lock", Lock(source=SourcePin(ref="1", commit=COMMIT)))
    asked = []

    def obtain(tree: RemoteTree, lock: Lock, mirrors: object, commands: Collection[str]) -> Path:
        asked.append((tree, lock.source, mirrors, list(commands)))
        return tmp_path / "tree"

    project = load_project(tmp_path / "targets.toml", obtain=obtain)
    assert (project.source, project.fetched) == (tmp_path / "tree", RemoteTree(git="g", ref="1"))
    assert asked == [(project.fetched, SourcePin(ref="1", commit=COMMIT), {}, [])]


def test_a_tree_that_is_named_is_used_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(text('{ git = "g", ref = "1" }'))
    project = load_project(tmp_path / "targets.toml", tmp_path)
    assert (project.source, project.fetched) == (tmp_path, None)
    with pytest.raises(UsageError, match="g is not fetched here"):
        load_project(tmp_path / "targets.toml")


def test_the_local_file_puts_a_tree_in_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(text('{ git = "g", ref = "1" }'))
    url = f'{{ url = "file:///x", sha256 = "{SHA256}" }}'
    (tmp_path / "targets.local.toml").write_text(f"[project]\nsource = {url}\n")
    project = load_project(tmp_path / "targets.toml", obtain=lambda *_: tmp_path)
    assert project.fetched == RemoteTree(url="file:///x", sha256=SHA256)
