from __future__ import annotations

import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildkit.digest import Digest
from buildkit.locks import try_lock
from buildkit.store import (
    Store,
    atomic_copy,
    atomic_path,
    atomic_write,
    discard,
    note_use,
    read_sealed,
    remove_leftovers,
    write_sealed,
)


class BrokenError(Exception):
    """What a test's own block raises."""


def fail_after_writing(path: Path) -> None:
    path.write_bytes(b"new")
    raise BrokenError


def files_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_file_appears_whole_with_its_mode_and_its_folders(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "tool"
    with atomic_path(target, mode=0o755) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists()
        assert temporary.parent == target.parent
        temporary.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    assert files_below(tmp_path) == {"a/b/tool"}


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    atomic_write(target, b"old")
    with pytest.raises(BrokenError), atomic_path(target) as temporary:
        fail_after_writing(temporary)
    assert target.read_bytes() == b"old"
    assert files_below(tmp_path) == {"file"}


def test_a_failed_copy_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_copy(tmp_path / "absent", tmp_path / "target")
    assert files_below(tmp_path) == set()


def test_a_running_program_can_be_replaced_since_the_name_moves_not_the_content(
    tmp_path: Path,
) -> None:
    target = tmp_path / "program"
    atomic_write(target, b"one")
    with target.open("rb") as running:
        atomic_write(target, b"two")
        assert running.read() == b"one"
    assert target.read_bytes() == b"two"


def test_a_copy_has_the_content_and_the_asked_mode(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    source.chmod(0o600)
    atomic_copy(source, tmp_path / "copy", mode=0o755)
    assert (tmp_path / "copy").read_bytes() == b"data"
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o755


def test_a_store_is_marked_as_a_cache(store: Store) -> None:
    tag = (store.root / "CACHEDIR.TAG").read_text(encoding="utf-8")
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert Store.open(store.root) == store


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.binary())
def test_what_was_put_is_got_by_its_digest(store: Store, data: bytes) -> None:
    digest, path = store.put_bytes(data)
    assert digest == Digest.of_bytes(data)
    assert store.get(digest) == path == store.blob(digest)
    assert path.read_bytes() == data


def test_a_file_is_copied_in_so_that_the_source_may_change(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"first")
    digest, path = store.put_file(source)
    source.write_bytes(b"second")
    assert store.get(digest) == path
    assert path.read_bytes() == b"first"
    assert store.put_file(source)[0] != digest


def test_equal_content_is_kept_once(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    digest, path = store.put_file(source)
    inode = path.stat().st_ino
    assert store.put_bytes(b"data") == (digest, path)
    assert path.stat().st_ino == inode


def test_a_damaged_blob_is_not_given_out_and_can_be_put_again(store: Store) -> None:
    digest, path = store.put_bytes(b"data")
    path.chmod(0o644)
    path.write_bytes(b"daty")
    assert store.get(digest) is None
    assert not path.exists()
    store.put_bytes(b"data")
    assert store.get(digest) == path


def test_an_absent_blob_is_nothing(store: Store) -> None:
    assert store.get(Digest.of_bytes(b"absent")) is None


def test_threads_that_put_the_same_blob_do_not_disturb_each_other(store: Store) -> None:
    data = b"x" * 200_000
    with ThreadPoolExecutor(8) as pool:
        results = set(pool.map(lambda _: store.put_bytes(data), range(32)))
    assert results == {(Digest.of_bytes(data), store.blob(Digest.of_bytes(data)))}
    assert files_below(store.root / "blobs") == {
        str(store.blob(Digest.of_bytes(data)).relative_to(store.root / "blobs"))
    }


def test_a_workspace_is_empty_on_the_same_file_system_and_gone_afterwards(store: Store) -> None:
    with store.workspace() as one, store.workspace() as other:
        assert one != other
        assert list(one.iterdir()) == []
        assert one.stat().st_dev == store.root.stat().st_dev
        (one / "file").write_text("x", encoding="utf-8")
    assert not one.exists()
    with pytest.raises(BrokenError), store.workspace() as broken:
        raise BrokenError
    assert not broken.exists()


def is_free(store: Store, name: str) -> bool:
    with try_lock(store.root / "locks" / f"{name}.lock") as attempt:
        return attempt()


def test_a_lock_keeps_others_out_by_its_name(store: Store) -> None:
    with store.lock("envoy"):
        assert not is_free(store, "envoy")
        with store.lock("go"):
            pass
    assert is_free(store, "envoy")


def test_looking_into_a_store_that_does_not_exist_makes_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.get(Digest.of_bytes(b"x")) is None
    assert store.peek(Digest.of_bytes(b"x")) is None
    assert not store.root.exists()
    with store.workspace():
        assert (store.root / "CACHEDIR.TAG").exists()


def test_peeking_leaves_a_damaged_blob_where_it_is(store: Store) -> None:
    digest, path = store.put_bytes(b"data")
    assert store.peek(digest) == path
    path.write_bytes(b"dama")
    assert store.peek(digest) is None
    assert path.read_bytes() == b"dama"


@pytest.mark.parametrize("damage", [b"", b"dat", b"dama", b"data and more"])
def test_a_damaged_blob_is_replaced_however_it_is_put(
    store: Store, tmp_path: Path, damage: bytes
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    digest, path = store.put_bytes(b"data")
    for put in (
        lambda: store.put_bytes(b"data"),
        lambda: store.put_file(source),
        lambda: store.keep(source, digest),
    ):
        path.write_bytes(damage)
        put()
        assert store.peek(digest) == path


def age(path: Path, seconds: float) -> float:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))
    return path.stat().st_mtime


def test_getting_counts_as_use_once_a_day_and_peeking_never(store: Store) -> None:
    digest, path = store.put_bytes(b"data")
    old = age(path, 2 * 24 * 3600)
    store.peek(digest)
    assert path.stat().st_mtime == old
    store.get(digest)
    assert path.stat().st_mtime > old + 24 * 3600
    recent = age(path, 3600)
    store.get(digest)
    assert path.stat().st_mtime == recent


def test_a_use_that_cannot_be_noted_is_no_error(tmp_path: Path) -> None:
    note_use(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_any_number_may_use_a_store_and_a_collector_waits_for_none(store: Store) -> None:
    with store.unused() as free:
        assert free
    with store.in_use(), store.in_use(), store.unused() as free:
        assert not free
    with store.unused() as first, store.unused() as second:
        assert (first, second) == (True, False)


def test_who_uses_a_store_waits_for_the_collector(store: Store) -> None:
    entered = threading.Event()

    def use() -> None:
        with store.in_use():
            entered.set()

    with ThreadPoolExecutor() as pool:
        with store.unused():
            pool.submit(use)
            assert not entered.wait(0.1)
        assert entered.wait(10)


def become_directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    (path / "with").mkdir(parents=True)
    (path / "with" / "a file").write_text("x")


def test_a_directory_in_the_place_of_a_blob_is_no_blob_and_is_replaced(
    store: Store, tmp_path: Path
) -> None:
    digest, path = store.put_bytes(b"data")
    source = tmp_path / "source"
    source.write_bytes(b"data")
    become_directory(path)
    assert store.peek(digest) is None
    assert store.put_bytes(b"data")[1].read_bytes() == b"data"
    become_directory(path)
    store.keep(source, digest)
    assert path.read_bytes() == b"data"
    become_directory(path)
    assert store.get(digest) is None
    assert not path.exists()


def test_what_is_sealed_is_read_as_it_was_written_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "record"
    assert read_sealed(path) is None
    write_sealed(path, b"data")
    assert read_sealed(path) == b"data"
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert read_sealed(path) is None
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert read_sealed(path) is None
    become_directory(path)
    assert read_sealed(path) is None
    assert read_sealed(path / "with" / "a file" / "below") is None
    write_sealed(path, b"other")
    assert read_sealed(path) == b"other"
    assert [item.name for item in tmp_path.iterdir()] == ["record"]


def test_a_lock_whose_file_is_a_directory_is_taken_all_the_same(store: Store) -> None:
    become_directory(store.root / "locks" / "a.lock")
    become_directory(store.root / "locks" / "use.lock")
    with store.lock("a"):
        assert not is_free(store, "a")
    with store.unused() as free:
        assert free


@pytest.mark.parametrize("damage", [b"", b"Signature: ", None])
def test_a_damaged_mark_is_written_again(store: Store, damage: bytes | None) -> None:
    tag = store.root / "CACHEDIR.TAG"
    whole = tag.read_bytes()
    become_directory(tag) if damage is None else tag.write_bytes(damage)
    store.mark()
    assert tag.read_bytes() == whole


def test_leftovers_go_by_the_names_of_their_targets(tmp_path: Path) -> None:
    for name in (".app.abcd_123.tmp", ".app.x.abcd_123.tmp", ".app.tmp", "app", "x.abcd_123.tmp"):
        (tmp_path / name).write_text("x")
    become_directory(tmp_path / ".dir.abcd_123.tmp")
    remove_leftovers(tmp_path, {"app"})
    remaining = {".app.tmp", "app", "x.abcd_123.tmp"}
    assert {path.name for path in tmp_path.iterdir()} == {
        *remaining,
        ".app.x.abcd_123.tmp",
        ".dir.abcd_123.tmp",
    }
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == remaining
    remove_leftovers(tmp_path / "absent")


def test_what_an_atomic_write_would_leave_if_it_was_killed_is_a_leftover(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "app") as temporary:
        temporary.write_bytes(b"whole")
    temporary.write_bytes(b"half")
    remove_leftovers(tmp_path, {"app"})
    assert files_below(tmp_path) == {"app"}


def test_discarding_says_why_a_file_cannot_go(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        discard(write(tmp_path / "file") / "below")


def write(path: Path) -> Path:
    path.write_text("x")
    return path


def test_what_must_outlive_a_power_cut_is_synced_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, synced = tmp_path / "file", []

    def fsync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, target.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write(target, b"1", sync=False)
    target.unlink()
    assert synced == []
    atomic_write(target, b"2")
    assert synced == [(target.stat().st_ino, False)]
