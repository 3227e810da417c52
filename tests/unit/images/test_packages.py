from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import FetchError
from buildkit.images.archive import DebianArchive
from buildkit.images.packages import fetch_packages, resolve_packages
from buildkit.store import Store
from tests.unit.images.fake_archive import FakeArchive


@pytest.fixture
def fake() -> FakeArchive:
    return FakeArchive()


@pytest.fixture
def suite(fake: FakeArchive, store: Store, tmp_path: Path) -> DebianArchive:
    return fake.open_suite(store, tmp_path / "keys.gpg")


def test_pins_are_sorted_and_missing_dependencies_are_said_once(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    one = fake.add("libc6", b"c", Depends="libgcc-s1, libcrypt1 (>= 1:4.4) | libxcrypt")
    two = fake.add("gcc-base", b"g", Provides="libgcc-s1")
    three = fake.add("base-files", b"b", Pre_Depends="awk")
    warnings: list[str] = []
    pins = resolve_packages(
        suite, ("libc6", "base-files", "gcc-base"), ("amd64", "amd64"), warn=warnings.append
    )
    assert pins == {"amd64": (three, two, one)}
    assert warnings == [
        "base-files depends on awk, which the list lacks",
        "libc6 depends on libcrypt1 or libxcrypt, which the list lacks",
    ]


def test_pinned_packages_need_no_index_and_are_downloaded_once(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    pins = (fake.add("a", b"content of a"), fake.add("b", b"content of b"))
    for _ in range(2):
        fetched = fetch_packages(suite, pins, "amd64", warn=pytest.fail)
        assert [item.path.read_bytes() for item in fetched] == [b"content of a", b"content of b"]
        assert tuple(item.pin for item in fetched) == pins
    assert fake.asked == [pin.file for pin in pins]


@pytest.mark.parametrize("body", [b"other content", b"longer than it should be", b"short"])
def test_a_package_that_is_not_what_was_pinned_is_refused(
    fake: FakeArchive, suite: DebianArchive, store: Store, body: bytes
) -> None:
    pin = fake.add("a", b"right content")
    fake.files[pin.file] = body
    with pytest.raises(FetchError, match="is not what the lock pins"):
        fetch_packages(suite, (pin,), "amd64", warn=pytest.fail)
    assert not list((store.root / "blobs").rglob("*")) if (store.root / "blobs").exists() else True


def test_a_vanished_pin_takes_the_current_version_and_says_so(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    old = fake.add("a", b"old")
    kept = fake.add("b", b"kept")
    del fake.files[old.file]
    new = fake.add("a", b"new", version="2")
    warnings: list[str] = []
    fetched = fetch_packages(suite, (old, kept), "amd64", warn=warnings.append)
    assert [item.pin for item in fetched] == [new, kept]
    assert fetched[0].path.read_bytes() == b"new"
    assert len(warnings) == 1
    assert "a 1 is gone" in warnings[0]
    assert "2 is used instead" in warnings[0]


def test_a_replacement_is_only_taken_from_a_signed_release(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    old = fake.add("a", b"old")
    del fake.files[old.file]
    fake.add("a", b"new", version="2")
    fake.signature = b"[GNUPG:] BADSIG 1"
    with pytest.raises(FetchError, match="signature"):
        fetch_packages(suite, (old,), "amd64", warn=pytest.fail)


def test_a_listed_package_that_is_missing_is_an_error(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    pin = fake.add("a", b"x")
    del fake.files[pin.file]
    with pytest.raises(FetchError, match="lists a 1 but does not have it"):
        fetch_packages(suite, (pin,), "amd64", warn=pytest.fail)


def test_a_server_error_is_not_taken_for_a_vanished_pin(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    pin = fake.add("a", b"x")
    fake.status = 503
    with pytest.raises(FetchError, match="answers 503"):
        fetch_packages(suite, (pin,), "amd64", warn=pytest.fail)
