from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from buildkit.errors import UsageError
from buildkit.platform import Platform
from buildkit.release.shards import Ingredients, github_matrix, shard_jobs, shard_of

NAMES = ("linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64")
PLATFORMS = tuple(map(Platform.parse, NAMES))
FOUND = Ingredients(lock="sha256:1", sums={"go.sum": "sha256:2"}, go="go1.26.0", code="0.1.0")


def keys(found: Ingredients, count: int | None = 2, runner: str = "here") -> list[str]:
    return [job.cache_key for job in shard_jobs(PLATFORMS, count, runner, found)]


def test_a_matrix_gives_every_platform_to_one_machine() -> None:
    matrix = github_matrix(shard_jobs(PLATFORMS, 3, "ubuntu-24.04", FOUND))
    assert list(matrix) == ["include"]
    entries = matrix["include"]
    assert [(entry["shard"], entry["name"]) for entry in entries] == [
        ("1/3", "1-of-3"),
        ("2/3", "2-of-3"),
        ("3/3", "3-of-3"),
    ]
    assert [entry["platforms"] for entry in entries] == [
        "linux/amd64,darwin/arm64",
        "linux/arm64",
        "darwin/amd64",
    ]
    assert {entry["runner"] for entry in entries} == {"ubuntu-24.04"}


@pytest.mark.parametrize("count", [None, 1, 2, 3, 4])
def test_the_parts_are_those_that_release_makes(count: int | None) -> None:
    for job in shard_jobs(PLATFORMS, count, "here", FOUND):
        assert job.platforms == ",".join(map(str, shard_of(PLATFORMS, job.shard)))


def test_without_a_number_each_platform_has_its_machine() -> None:
    jobs = shard_jobs(PLATFORMS, None, "here", FOUND)
    assert [job.platforms for job in jobs] == list(NAMES)


@pytest.mark.parametrize("count", [0, -1, 5])
def test_more_parts_than_platforms_or_none_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"--shards {count}: there are 4 platforms") as caught:
        shard_jobs(PLATFORMS, count, "here", FOUND)
    assert "1 to 4" in caught.value.resolution


def test_a_key_follows_all_that_it_is_made_from_and_nothing_else() -> None:
    others = (
        replace(FOUND, lock="sha256:3"),
        replace(FOUND, sums={"go.sum": "sha256:3"}),
        replace(FOUND, sums={**FOUND.sums, "go.work.sum": "sha256:2"}),
        replace(FOUND, go="go1.26.1"),
        replace(FOUND, code="0.1.1"),
    )
    assert keys(FOUND) == keys(replace(FOUND))
    found = [keys(FOUND), keys(FOUND, 4), keys(FOUND, runner="there"), *map(keys, others)]
    flat = [key for several in found for key in several]
    assert len(set(flat)) == len(flat)


def test_a_key_begins_with_its_prefix_and_has_what_cache_keys_may_have() -> None:
    for job in shard_jobs(PLATFORMS, 2, "here", FOUND):
        assert job.cache_key.startswith(job.cache_prefix)
        assert re.fullmatch(r"meshwright-[12]-of-2-[0-9a-f]{16}", job.cache_key)
