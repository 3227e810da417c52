"""`invoke ci.matrix`: the machines of a release, and what each finds in its cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from buildkit import __version__
from buildkit.config.lock import lock_path
from buildkit.digest import Digest
from buildkit.pipeline.golang import GoSupply
from buildkit.pipeline.report import print_json
from buildkit.pipeline.summary import append
from buildkit.pipeline.workshop import Workshop
from buildkit.plan import action_cache, records
from buildkit.plan.options import Options
from buildkit.release.shards import Ingredients, github_matrix, shard_jobs

RUNNER = "ubuntu-24.04"
_COLUMNS = ("shard", "platforms", "runner", "cache key")
_SUMS = ("go.sum", "go.work.sum")


def show_matrix(options: Options) -> None:
    """Print the matrix, and hand it to later jobs as the output ``matrix``.

    Raises:
        UsageError: there are fewer platforms than parts.
        EnvironmentMissingError: no Go fits and none is locked.
    """
    shop = Workshop.open(replace(options, platform=options.platform or "all"))
    jobs = shard_jobs(
        shop.settings.platforms,
        options.shards,
        options.runner or RUNNER,
        read_ingredients(shop),
    )
    matrix = github_matrix(jobs)
    if options.json:
        print_json(matrix)
    else:
        rows = [(job.shard, job.platforms, job.runner, job.cache_key) for job in jobs]
        shop.shown.table(_COLUMNS, rows)
    if path := shop.environ.get("GITHUB_OUTPUT"):
        append(Path(path), f"matrix={msgspec.json.encode(matrix).decode()}\n")


def read_ingredients(shop: Workshop) -> Ingredients:
    """Read what the caches of a release are keyed by; starts nothing and writes nothing."""
    lock, source = lock_path(shop.project.targets), shop.project.source
    return Ingredients(
        lock=str(Digest.of_file(lock)) if lock.is_file() else "",
        sums={path.name: str(Digest.of_file(path)) for path in _sums(source)},
        go=GoSupply(shop).release,
        code=f"{__version__}, records {records.VERSION}, results {action_cache.VERSION}",
    )


def _sums(source: Path) -> Iterator[Path]:
    return filter(Path.is_file, (source / name for name in _SUMS))
