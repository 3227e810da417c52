"""Trees that real git fetches from real repositories, by the program's own way."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from buildkit.build.checkout import Remote
from buildkit.config.lock import Lock, SourcePin
from buildkit.config.model import RemoteTree
from buildkit.digest import Digest
from buildkit.errors import BuildkitError, ConfigError, FetchError
from buildkit.pipeline.sourcing import TreeSupply
from buildkit.proc import Processes
from buildkit.store import Store
from buildkit.vcs import read_git

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgSign=false")
Supply = Callable[..., TreeSupply]


def git(tree: Path, *words: str) -> str:
    local = ("-c", "protocol.file.allow=always")
    argv = ["git", *IDENTITY, *local, *words]
    done = subprocess.run(argv, cwd=tree, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(tree: Path, name: str, content: str = "") -> str:
    (tree / name).write_text(content or name)
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", name)
    return git(tree, "rev-parse", "HEAD")


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    """Return a repository with a lightweight and an annotated tag and two branches."""
    made = tmp_path / "mesh"
    made.mkdir()
    git(made, "init", "--quiet", "--initial-branch=main")
    commit(made, "first")
    git(made, "tag", "1.0.0")
    commit(made, "second")
    git(made, "tag", "--annotate", "--message=x", "1.1.0")
    git(made, "branch", "release-1.1")
    commit(made, "third")
    return made


@pytest.fixture
def supply(store: Store) -> Supply:
    def make(*, offline: bool = False, refresh: bool = False) -> TreeSupply:
        return TreeSupply(
            store=store,
            environ=dict(os.environ),
            runner=Processes(),
            say=lambda _: None,
            offline=offline,
            refresh=refresh,
            sleep=lambda _: None,
        )

    return make


def remote(mesh: Path) -> Remote:
    return Remote(url=f"file://{mesh}", runner=Processes(), environ=dict(os.environ))


def locked(supply: Supply, tree: RemoteTree) -> Lock:
    """Return what `invoke lock` would write."""
    resolving = supply(refresh=True)
    resolving.obtain(tree, Lock(), {})
    return Lock(source=resolving.pin)


def test_refs_and_what_they_are(mesh: Path, tmp_path: Path) -> None:
    asked = remote(mesh)
    second, main = git(mesh, "rev-parse", "release-1.1"), git(mesh, "rev-parse", "main")
    assert asked.resolve("1.1.0", tmp_path) == SourcePin(ref="1.1.0", commit=second, tag="1.1.0")
    assert asked.resolve("release-1.1", tmp_path) == SourcePin(ref="release-1.1", commit=second)
    assert asked.resolve("refs/heads/main", tmp_path).commit == main
    assert asked.resolve("refs/tags/1.1.0", tmp_path).tag == "1.1.0"
    assert asked.resolve(main, tmp_path) == SourcePin(ref=main, commit=main)


def test_a_tag_is_fetched_shallow_and_describes_itself(mesh: Path, supply: Supply) -> None:
    tree = RemoteTree(git=f"file://{mesh}", ref="1.1.0")
    place = supply().obtain(tree, locked(supply, tree), {})
    facts = read_git(place)
    assert facts.revision == git(mesh, "rev-parse", "1.1.0^{commit}")
    assert (facts.describe, facts.dirty) == ("1.1.0", False)
    assert git(place, "rev-list", "--count", "--all") == "1"
    assert sorted(path.name for path in place.iterdir()) == [".git", "first", "second"]


def test_a_branch_that_moves_is_what_the_lock_pins_until_it_is_locked_again(
    mesh: Path, supply: Supply, store: Store
) -> None:
    tree = RemoteTree(git=f"file://{mesh}", ref="main")
    before = locked(supply, tree)
    fourth = commit(mesh, "fourth")
    place = supply().obtain(tree, before, {})
    assert not (place / "fourth").exists()
    # Elsewhere, where nothing is cached, the same: the old commit is fetched by its name.
    other = supply()
    other.store = Store.open(store.root.with_name("other"))
    assert read_git(other.obtain(tree, before, {})).revision == read_git(place).revision
    after = locked(supply, tree)
    assert after.source == SourcePin(ref="main", commit=fourth)
    assert (supply().obtain(tree, after, {}) / "fourth").exists()


def test_what_is_cached_is_taken_offline_and_nothing_else(mesh: Path, supply: Supply) -> None:
    tree = RemoteTree(git=f"file://{mesh}", ref="1.0.0")
    lock = locked(supply, tree)
    mesh.rename(mesh.with_name("gone"))
    assert (supply(offline=True).obtain(tree, lock, {}) / "first").exists()
    other = RemoteTree(git=f"file://{mesh}", ref="0" * 40)
    with pytest.raises(FetchError, match="not in the cache, and this run is offline"):
        supply(offline=True).obtain(other, lock, {})


def test_submodules_are_checked_out_where_they_are_asked_for(
    mesh: Path, tmp_path: Path, supply: Supply
) -> None:
    part = tmp_path / "part"
    part.mkdir()
    git(part, "init", "--quiet")
    commit(part, "inner.go")
    git(mesh, "submodule", "--quiet", "add", "../part", "api")
    ref = commit(mesh, "with")
    plain = RemoteTree(git=f"file://{mesh}", ref=ref)
    whole = RemoteTree(git=f"file://{mesh}", ref=ref, submodules=True)
    assert not (supply().obtain(plain, Lock(), {}) / "api" / "inner.go").exists()
    place = supply().obtain(whole, Lock(), {})
    assert (place / "api" / "inner.go").exists()
    assert not read_git(place).dirty
    assert read_git(place / "api").revision == git(part, "rev-parse", "HEAD")


def test_a_mirror_is_asked_instead(mesh: Path, supply: Supply) -> None:
    tree = RemoteTree(git="https://example.com/team/mesh", ref="1.0.0")
    mirrors = {"https://example.com/team/": f"file://{mesh.parent}/"}
    resolving = supply(refresh=True)
    assert (resolving.obtain(tree, Lock(), mirrors) / "first").exists()


def test_hooks_and_monitors_of_the_user_do_not_run(
    mesh: Path, supply: Supply, isolated_user: Path, tmp_path: Path
) -> None:
    hooks, ran = tmp_path / "hooks", tmp_path / "ran"
    hooks.mkdir()
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (hooks / "post-checkout").chmod(0o755)
    config = f"[core]\nhooksPath = {hooks}\nautocrlf = true\n"
    (isolated_user / ".gitconfig").write_text(config)
    commit(mesh, "lines", "a\nb\n")
    tree = RemoteTree(git=f"file://{mesh}", ref="main")
    ran.unlink(missing_ok=True)
    place = supply(refresh=True).obtain(tree, Lock(), {})
    assert not ran.exists()
    assert (place / "lines").read_bytes() == b"a\nb\n"
    assert (isolated_user / ".gitconfig").read_text() == config


def test_a_hook_of_another_repository_does_not_divert_it(mesh: Path, supply: Supply) -> None:
    tree = RemoteTree(git=f"file://{mesh}", ref="1.0.0")
    hooked = supply(refresh=True)
    hooked.environ = {**os.environ, "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere/index"}
    assert (hooked.obtain(tree, Lock(), {}) / "first").exists()


@pytest.mark.parametrize(
    ("url", "ref", "said"),
    [
        ("file://{mesh}", "1.1.1", "has no tag or branch '1.1.1'"),
        ("file://{mesh}", "f" * 40, "no longer has the commit"),
        ("file://{mesh}-gone", "1.1.0", "git cannot read"),
        ("https://127.0.0.1:9/mesh", "1.1.0", "git cannot read"),
        ("https://127.0.0.1:9/mesh", "f" * 40, "git cannot read"),
        ("ssh://127.0.0.1:9/mesh", "1.1.0", "git cannot read"),
    ],
)
def test_what_cannot_be_had_is_one_error_and_leaves_nothing(
    mesh: Path, supply: Supply, url: str, ref: str, said: str
) -> None:
    tree = RemoteTree(git=url.format(mesh=mesh), ref=ref)
    asking = supply(refresh=True)
    with pytest.raises(FetchError, match=said) as caught:
        asking.obtain(tree, Lock(), {})
    assert caught.value.resolution
    assert list(asking.store.root.glob("trees/*")) == []
    assert list(asking.store.root.glob("tmp/*")) == []


def test_a_near_miss_of_a_ref_is_named(mesh: Path, supply: Supply) -> None:
    tree = RemoteTree(git=f"file://{mesh}", ref="release-1.11")
    with pytest.raises(FetchError) as caught:
        supply(refresh=True).obtain(tree, Lock(), {})
    assert caught.value.details == "did you mean 'release-1.1'?"


def test_a_ref_that_is_not_locked_is_refused_before_anything_is_asked(supply: Supply) -> None:
    with pytest.raises(ConfigError, match="is not locked"):
        supply().obtain(RemoteTree(git="https://127.0.0.1:9/mesh", ref="main"), Lock(), {})


def archive(tmp_path: Path, *names: str) -> Path:
    path = tmp_path / "mesh.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name in names:
            made.addfile(tarfile.TarInfo(f"mesh-1.0/{name}"))
    return path


def tree_of(path: Path, sha256: str = "") -> RemoteTree:
    return RemoteTree(url=f"file://{path}", sha256=sha256 or Digest.of_file(path).hex)


def test_an_archive_is_unpacked_once(tmp_path: Path, supply: Supply) -> None:
    path = archive(tmp_path, "go.mod")
    tree = tree_of(path)
    place = supply().obtain(tree, Lock(), {})
    assert [item.name for item in place.iterdir()] == ["go.mod"]
    path.unlink()
    assert supply(offline=True).obtain(tree, Lock(), {}) == place


def test_a_tree_that_was_altered_is_fetched_again_and_put_aside(mesh: Path, supply: Supply) -> None:
    tree = RemoteTree(git=f"file://{mesh}", ref="1.1.0")
    lock = locked(supply, tree)
    said: list[str] = []
    asking, offline = supply(), supply(offline=True)
    asking.say = said.append
    place = asking.obtain(tree, lock, {})
    aside = place.with_name(f"{place.name}.altered")
    for name in ("first", ".git/HEAD"):
        before = (place / name).read_text()
        (place / name).write_text("altered")
        with pytest.raises(FetchError, match=rf"altered in the cache \({name}\), and .* offline"):
            offline.obtain(tree, lock, {})
        # What commands may have written is no damage.
        assert offline.obtain(tree, lock, {}, ["code"]) == place
        assert (place / name).read_text() == "altered"
        assert asking.obtain(tree, lock, {}) == place
        assert (place / name).read_text() == before
        assert (aside / name).read_text() == "altered"
        assert str(aside) in said[-1]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: tree_of(path, "0" * 64), "is not the archive that targets.toml names"),
        (tree_of, "mesh.tar.gz is empty"),
        (lambda path: tree_of(path.with_name("gone"), "0" * 64), "cannot be read"),
        (
            lambda _: RemoteTree(url="https://127.0.0.1:9/mesh.tar.gz", sha256="0" * 64),
            "127.0.0.1:9",
        ),
    ],
)
def test_an_archive_that_is_wrong_is_one_error_and_leaves_nothing(
    tmp_path: Path, supply: Supply, store: Store, make: Callable[[Path], RemoteTree], said: str
) -> None:
    with pytest.raises(BuildkitError, match=said) as caught:
        supply().obtain(make(archive(tmp_path)), Lock(), {})
    assert caught.value.exit_code == 6
    assert list(store.root.glob("trees/*")) == []
    assert list(store.root.glob("tmp/*")) == []
