"""Digests found out by stat: what is believed, what is hashed again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.errors import EnvironmentMissingError
from buildkit.plan.hashing import RACY_NS, FileState, Hasher


class Clock:
    """A clock that stands a second after a file's last change, unless told otherwise."""

    def __init__(self, path: Path, after_ns: int = 1_000_000_000) -> None:
        found = path.stat()
        self.now = max(found.st_mtime_ns, found.st_ctime_ns) + after_ns
        self.pauses: list[float] = []

    def __call__(self) -> int:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += round(seconds * 1e9)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("one")
    return path


def digest_of(text: str) -> str:
    return str(Digest.of_bytes(text.encode()))


def forged(path: Path, clock: Callable[[], int], digest: str = "sha256:forged") -> FileState:
    """Return a state with the file's stat and a digest that hashing would not give."""
    found = path.stat()
    return FileState(
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        inode=found.st_ino,
        hashed_ns=clock(),
        digest=digest,
    )


def test_a_file_whose_stat_did_not_move_is_not_read_again(file: Path) -> None:
    clock = Clock(file)
    assert Hasher({str(file): forged(file, clock)}, clock).digest(file) == "sha256:forged"


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_a_file_of_which_any_part_of_the_stat_moved_is_read_again(file: Path, field: str) -> None:
    clock = Clock(file)
    values = {name: getattr(forged(file, clock), name) for name in FileState.__struct_fields__}
    values[field] += 1
    assert Hasher({str(file): FileState(**values)}, clock).digest(file) == digest_of("one")


def test_a_file_edited_in_the_tick_in_which_it_was_hashed_is_read_again(file: Path) -> None:
    clock = Clock(file, after_ns=RACY_NS)
    racy = forged(file, clock)
    assert Hasher({str(file): racy}, clock).digest(file) == digest_of("one")
    clock.now += 1
    settled = forged(file, clock)
    assert Hasher({str(file): settled}, clock).digest(file) == "sha256:forged"


def test_a_second_edit_that_leaves_the_same_stat_is_noticed(file: Path) -> None:
    before = file.stat()
    clock = Clock(file, after_ns=0)
    hasher = Hasher({}, clock, pause=lambda _: None)
    assert hasher.digest(file) == digest_of("one")
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hasher.digest(file) == digest_of("two")


def test_what_was_just_written_is_hashed_after_the_tick_and_then_believed(file: Path) -> None:
    clock = Clock(file, after_ns=RACY_NS // 5)
    hasher = Hasher({}, clock, clock.pause)
    hasher.digest(file)
    assert clock.pauses == [pytest.approx(RACY_NS * 4 / 5 / 1e9, abs=1e-6)]
    assert hasher.fresh()[str(file)].believes(file.stat())


def test_a_file_from_the_future_is_not_waited_for(file: Path) -> None:
    clock = Clock(file, after_ns=-60_000_000_000)
    hasher = Hasher({}, clock, clock.pause)
    assert hasher.digest(file) == digest_of("one")
    assert clock.pauses == []
    assert not hasher.fresh()[str(file)].believes(file.stat())


def test_a_time_set_beyond_the_clock_is_believed_by_the_ctime(file: Path) -> None:
    future = file.stat().st_mtime_ns + 10**15
    os.utime(file, ns=(future, future))
    clock = Clock(file)
    clock.now = file.stat().st_ctime_ns + RACY_NS // 5
    hasher = Hasher({}, clock, clock.pause)
    hasher.digest(file)
    assert len(clock.pauses) == 1
    assert hasher.fresh()[str(file)].believes(file.stat())


def test_what_is_no_file_has_no_digest(tmp_path: Path) -> None:
    hasher = Hasher({})
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch()
    for name in ("missing", "file/below", "dangling", "."):
        assert hasher.digest(tmp_path / name) is None


def test_a_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(EnvironmentMissingError, match=r"cannot read .*loop"):
        Hasher({}).digest(loop)


def test_links_are_followed(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    assert Hasher({}).digest(tmp_path / "link") == digest_of("one")


def test_only_what_was_looked_at_is_remembered(file: Path, tmp_path: Path) -> None:
    hasher = Hasher({})
    hasher.digest(file)
    hasher.digest(tmp_path / "missing")
    assert list(hasher.fresh()) == [str(file)]


def make_tree(root: Path) -> Path:
    (root / "tree" / "deep").mkdir(parents=True)
    (root / "tree" / "deep" / "a").write_text("a")
    (root / "tree" / "b").write_text("b")
    (root / "tree" / "link").symlink_to("b")
    return root / "tree"


def test_equal_trees_in_different_places_have_one_digest(tmp_path: Path) -> None:
    one, two = make_tree(tmp_path / "1"), make_tree(tmp_path / "2")
    assert Hasher({}).tree(one) == Hasher({}).tree(two)


def relink(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("deep")


def copy_for_link(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").write_text("b")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda tree: (tree / "b").write_text("c"),
    "mode": lambda tree: (tree / "b").chmod(0o755),
    "name": lambda tree: (tree / "b").rename(tree / "c"),
    "new file": lambda tree: (tree / "deep" / "new").touch(),
    "new directory": lambda tree: (tree / "empty").mkdir(),
    "link": relink,
    "file for link": copy_for_link,
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_tree_shows_in_its_digest(tmp_path: Path, change: str) -> None:
    tree = make_tree(tmp_path)
    before = Hasher({}).tree(tree)
    CHANGES[change](tree)
    assert Hasher({}).tree(tree) != before


def test_a_touched_tree_keeps_its_digest(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    before = Hasher({}).tree(tree)
    os.utime(tree / "b", (1, 1))
    (tree / "b").chmod(0o600)
    assert Hasher({}).tree(tree) == before


def test_a_single_file_counts_with_its_mode_as_a_tree_does(file: Path) -> None:
    before = Hasher({}).tree(file)
    file.chmod(0o755)
    assert Hasher({}).tree(file) != before
    assert Hasher({}).tree(file.with_name("missing")) is None


def test_a_renamed_file_is_not_hashed_again(file: Path) -> None:
    clock, target = Clock(file), file.with_name("target")
    hasher = Hasher({str(file): forged(file, clock)}, clock, clock.pause)
    assert hasher.rename(file, target) == "sha256:forged"
    assert not file.exists()
    assert hasher.digest(target) == "sha256:forged"
    # The next run believes it: a later change would show in its time.
    known = hasher.fresh()
    assert known.keys() == {str(target)}
    assert Hasher(known, clock).digest(target) == "sha256:forged"


def test_what_is_remembered_of_a_renamed_file_waits_for_its_time_to_pass(file: Path) -> None:
    target = file.with_name("target")
    hasher = Hasher({})
    assert hasher.rename(file, target) == digest_of("one")
    (state,) = hasher.fresh().values()
    assert state.believes(target.stat())
    assert state.hashed_ns > target.stat().st_ctime_ns + RACY_NS


@pytest.mark.parametrize("when", ["before it is asked for", "before it is remembered"])
def test_a_renamed_file_that_is_written_is_hashed_anew(file: Path, when: str) -> None:
    target = file.with_name("target")
    hasher = Hasher({})
    hasher.rename(file, target)
    if when == "before it is asked for":
        target.write_text("two")
        assert hasher.digest(target) == digest_of("two")
        assert hasher.fresh()[str(target)].digest == digest_of("two")
    else:
        target.write_text("two")
        assert str(target) not in hasher.fresh()
    assert Hasher(hasher.fresh()).digest(target) == digest_of("two")


def test_a_file_that_is_not_there_cannot_be_renamed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Hasher({}).rename(tmp_path / "absent", tmp_path / "target")
