from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from buildkit.build.download import PIECES, Downloads, UnavailableError, Wanted
from buildkit.digest import Digest
from buildkit.errors import FetchError
from buildkit.http import HttpPool
from buildkit.store import Store
from tests.fakes.files import FakeFiles

CONTENT = bytes(range(256)) * 40
PIN = Digest.of_bytes(CONTENT).hex


def quiet(_: str) -> None:
    """Take progress and say nothing."""


@pytest.fixture
def server() -> Iterator[FakeFiles]:
    with FakeFiles() as files:
        files.files["/envoy"] = CONTENT
        yield files


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def downloads(store: Store, pauses: list[float]) -> Downloads:
    pool = HttpPool(environ={}, sleep=pauses.append)
    return Downloads(store=store, pool=pool, mirrors={}, sleep=pauses.append)


def fetch(downloads: Downloads, url: str, pin: str = PIN) -> bytes:
    with downloads.open(Wanted(url=url, pin=pin), quiet) as path:
        return path.read_bytes()


def partial_files(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "partial").glob("*"))


def test_a_file_is_fetched_and_nothing_partial_stays(
    server: FakeFiles, downloads: Downloads, store: Store
) -> None:
    assert fetch(downloads, f"{server.url}/envoy") == CONTENT
    assert partial_files(store) == []


def test_progress_tells_megabytes_of_the_total(server: FakeFiles, downloads: Downloads) -> None:
    server.files["/big"] = bytes(2_500_000)
    told: list[str] = []
    with downloads.open(Wanted(url=f"{server.url}/big"), told.append) as path:
        assert path.stat().st_size == 2_500_000
    assert told[-1] == "2.5 of 2.5 MB"
    assert len(told) > 3


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_a_cut_transfer_goes_on_where_it_ended(
    server: FakeFiles, downloads: Downloads, pauses: list[float], validator: str
) -> None:
    server.validator = validator
    server.cuts = [4000, 3000]
    assert fetch(downloads, f"{server.url}/envoy") == CONTENT
    assert [asked.range for asked in server.asked] == ["", "bytes=4000-", "bytes=7000-"]
    assert all(asked.guard for asked in server.asked[1:])
    assert pauses == [0.5, 1.0]


def test_a_server_without_ranges_is_asked_for_all_of_it_again(
    server: FakeFiles, downloads: Downloads
) -> None:
    server.ranges = False
    server.cuts = [4000]
    assert fetch(downloads, f"{server.url}/envoy") == CONTENT


def test_without_a_validator_no_range_is_asked_for(server: FakeFiles, downloads: Downloads) -> None:
    server.validator = ""
    server.cuts = [4000]
    assert fetch(downloads, f"{server.url}/envoy") == CONTENT
    assert [asked.range for asked in server.asked] == ["", ""]


def test_a_transfer_that_stays_cut_says_how_far_it_came_and_can_be_resumed_by_the_next_run(
    server: FakeFiles, downloads: Downloads
) -> None:
    server.cuts = [1000] + [1] * (PIECES - 1)
    with pytest.raises(FetchError) as caught:
        fetch(downloads, f"{server.url}/envoy")
    assert f"cut {PIECES} times" in caught.value.brief
    got = 1000 + PIECES - 1
    assert f"{got} of {len(CONTENT)} bytes arrived" in caught.value.details
    assert fetch(downloads, f"{server.url}/envoy") == CONTENT
    assert server.asked[-1].range == f"bytes={got}-"


def test_a_file_that_changed_between_two_pieces_is_fetched_anew(
    server: FakeFiles, downloads: Downloads
) -> None:
    server.cuts = [4000] + [0] * (PIECES - 1)
    with pytest.raises(FetchError):
        fetch(downloads, f"{server.url}/envoy", "")
    other = b"other" + CONTENT
    server.files["/envoy"] = other
    assert fetch(downloads, f"{server.url}/envoy", "") == other


def test_a_resumed_file_with_a_wrong_digest_is_fetched_once_more_as_a_whole(
    server: FakeFiles, downloads: Downloads
) -> None:
    server.validator = "Last-Modified"
    server.files["/envoy"] = bytes(len(CONTENT))
    server.cuts = [4000] + [0] * (PIECES - 1)
    with pytest.raises(FetchError):
        fetch(downloads, f"{server.url}/envoy")
    server.files["/envoy"] = CONTENT
    assert fetch(downloads, f"{server.url}/envoy") == CONTENT
    assert [asked.range for asked in server.asked[-2:]] == ["bytes=4000-", ""]


def test_a_partial_file_that_is_already_whole_is_fetched_anew(
    server: FakeFiles, downloads: Downloads, store: Store
) -> None:
    server.cuts = [4000] + [0] * (PIECES - 1)
    with pytest.raises(FetchError):
        fetch(downloads, f"{server.url}/envoy")
    (partial,) = (store.root / "partial").glob("*[!r]")
    partial.write_bytes(CONTENT)
    assert fetch(downloads, f"{server.url}/envoy") == CONTENT


def test_a_wrong_digest_is_named_with_both_and_nothing_stays(
    server: FakeFiles, downloads: Downloads, store: Store
) -> None:
    wanted = "0" * 64
    with pytest.raises(FetchError) as caught:
        fetch(downloads, f"{server.url}/envoy", wanted)
    assert caught.value.brief == "envoy is not what the lock pins"
    assert f"expected {wanted}, got {PIN}" in caught.value.details
    assert partial_files(store) == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "does not exist (HTTP 404)"),
        (410, "does not exist (HTTP 410)"),
        (403, "may not be read (HTTP 403)"),
        (418, "HTTP 418"),
    ],
)
def test_a_refusal_is_told_by_its_meaning(
    server: FakeFiles, downloads: Downloads, store: Store, status: int, message: str
) -> None:
    server.status["/envoy"] = status
    with pytest.raises(FetchError) as caught:
        fetch(downloads, f"{server.url}/envoy?token=secret")
    assert message in caught.value.brief
    assert "secret" not in str(caught.value)
    assert partial_files(store) == []


def test_absence_is_told_as_such(server: FakeFiles, downloads: Downloads) -> None:
    with pytest.raises(UnavailableError, match="may not be published") as caught:
        fetch(downloads, f"{server.url}/absent")
    assert caught.value.exit_code == FetchError.exit_code


def test_a_secret_is_resent_when_a_transfer_is_resumed(
    server: FakeFiles, downloads: Downloads
) -> None:
    server.authorization = "Bearer s3cret"
    server.files["/private"] = CONTENT
    server.cuts = [len(CONTENT) // 2]
    wanted = Wanted(url=f"{server.url}/private", credentials={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in repr(wanted)
    with downloads.open(wanted, quiet) as path:
        assert path.read_bytes() == CONTENT
    assert [sent["authorization"] for sent in server.headers] == ["Bearer s3cret"] * 2
    assert server.asked[1].range


def test_no_server_is_told_at_once_and_not_as_a_cut(downloads: Downloads) -> None:
    with FakeFiles() as server:
        url = server.url
    with pytest.raises(FetchError, match="cannot connect"):
        fetch(downloads, f"{url}/envoy")


def test_a_file_url_is_read_in_place(downloads: Downloads, tmp_path: Path) -> None:
    local = tmp_path / "an envoy"
    local.write_bytes(CONTENT)
    assert fetch(downloads, local.as_uri()) == CONTENT
    assert local.exists()
    with pytest.raises(FetchError, match="is not what the lock pins"):
        fetch(downloads, local.as_uri(), "0" * 64)
    with pytest.raises(FetchError, match="cannot be read"):
        fetch(downloads, (tmp_path / "absent").as_uri())


def test_a_mirror_by_longest_prefix_may_be_a_directory(
    server: FakeFiles, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "envoy").write_bytes(CONTENT)
    mirrors = {
        "https://files.example/": f"{server.url}/",
        "https://files.example/local/": f"{tmp_path.as_uri()}/",
    }
    pool = HttpPool(environ={}, mirrors=mirrors)
    downloads = Downloads(store=store, pool=pool, mirrors=mirrors)
    assert fetch(downloads, "https://files.example/envoy") == CONTENT
    assert len(server.asked) == 1
    assert fetch(downloads, "https://files.example/local/envoy") == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize("suffix", ["", ".validator"])
@pytest.mark.parametrize("damage", [b"", b"\n\xff", None])
def test_what_was_left_of_a_transfer_and_damaged_is_not_believed(
    server: FakeFiles, downloads: Downloads, store: Store, suffix: str, damage: bytes | None
) -> None:
    server.cuts = [700] * PIECES
    with pytest.raises(FetchError):
        fetch(downloads, f"{server.url}/envoy")
    (name,) = (name for name in partial_files(store) if name.endswith(".validator"))
    path = store.root / "partial" / (name.removesuffix(".validator") + suffix)
    path.unlink()
    path.mkdir() if damage is None else path.write_bytes(damage)
    assert fetch(downloads, f"{server.url}/envoy") == CONTENT
    assert partial_files(store) == []
