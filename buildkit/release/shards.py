"""Which machine makes which part of a release, and what it may find in its cache."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import asdict

from buildkit.digest import Digest
from buildkit.errors import UsageError
from buildkit.platform import Platform

_PREFIX = "meshwright"
_KEY_LENGTH = 16


class Job(Struct, frozen=True, kw_only=True):
    """One machine's part, an entry of ``include`` in a GitHub matrix.

    Attributes:
        shard: what ``release --shard`` gets, as ``2/4``.
        name: the same, as names of artifacts may have it.
        platforms: separated by commas.
        runner: the label of the machine.
        cache_key: the same for runs that fetch and compile the same from outside.
        cache_prefix: how keys of the same part begin, whatever they are made from.
    """

    shard: str
    name: str
    platforms: str
    runner: str
    cache_key: str
    cache_prefix: str


class Ingredients(Struct, frozen=True, kw_only=True):
    """What decides what lies in a cache, beside the platforms of the part.

    Attributes:
        lock: of targets.lock; empty where there is none.
        sums: of each go.sum and go.work.sum, by its path.
        go: what the toolchain calls itself.
        code: the version of this tool, and of the forms in which it keeps things.
    """

    lock: str
    sums: Mapping[str, str]
    go: str
    code: str


def shard_of(platforms: tuple[Platform, ...], shard: str | None) -> tuple[Platform, ...]:
    """Return the platforms of a shard such as ``2/4``: every fourth, from the second on.

    Raises:
        UsageError: it is no such number, or has no platform.
    """
    if not shard:
        return platforms
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", shard)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count <= len(platforms):
        raise UsageError(
            f"--shard {shard}: there is no such part",
            details=f"The release is for {', '.join(map(str, platforms))}.",
            resolution=f"Give 1/{len(platforms)} to {len(platforms)}/{len(platforms)}, or fewer "
            "parts with several platforms each.",
        )
    return platforms[number - 1 :: count]


def shard_jobs(
    platforms: tuple[Platform, ...], count: int | None, runner: str, ingredients: Ingredients
) -> tuple[Job, ...]:
    """Return the parts of a release, each for a machine of its own.

    Args:
        platforms: of the whole release.
        count: how many parts; one for each platform where it is not said.
        runner: the label of the machines. Every part may be made on any: nothing is
            compiled for the machine it is compiled on.
        ingredients: what the caches are keyed by.

    Raises:
        UsageError: there are fewer platforms than parts.
    """
    count = len(platforms) if count is None else count
    if not 1 <= count <= len(platforms):
        raise UsageError(
            f"--shards {count}: there are {len(platforms)} platforms to share",
            details=", ".join(map(str, platforms)),
            resolution=f"Give 1 to {len(platforms)}.",
        )
    return tuple(
        _job(shard_of(platforms, f"{number}/{count}"), number, count, runner, ingredients)
        for number in range(1, count + 1)
    )


def github_matrix(jobs: tuple[Job, ...]) -> dict[str, list[dict[str, str]]]:
    """Return what ``strategy.matrix`` takes by ``fromJSON``.

    https://docs.github.com/en/actions/reference/workflow-syntax-for-github-actions
    """
    return {"include": [asdict(job) for job in jobs]}


def _job(
    platforms: tuple[Platform, ...], number: int, count: int, runner: str, found: Ingredients
) -> Job:
    names = [str(platform) for platform in platforms]
    key = Digest.of_json({**asdict(found), "platforms": names, "runner": runner})
    prefix = f"{_PREFIX}-{number}-of-{count}-"
    return Job(
        shard=f"{number}/{count}",
        name=f"{number}-of-{count}",
        platforms=",".join(names),
        runner=runner,
        cache_key=f"{prefix}{key.hex[:_KEY_LENGTH]}",
        cache_prefix=prefix,
    )
