"""`invoke cache`: what the user's cache holds, and keeping it below a size, also after runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from buildkit.collection import (
    Collected,
    KindUse,
    collect,
    collect_if_due,
    read_limit,
    scan,
    survey,
)
from buildkit.errors import EnvironmentMissingError, UsageError
from buildkit.execute.outcomes import Outcome, Status
from buildkit.log import Reporter, choose_reporter
from buildkit.pipeline.report import human_size, print_json
from buildkit.pipeline.workshop import Workshop, user_store
from buildkit.plan.options import Options
from buildkit.store import Store

VARIABLE = "MESHWRIGHT_CACHE_SIZE"
"""Names the size that the cache is kept below after runs."""

CACHE_COLUMNS = ("kind", "files", "size", "last used")


def show_cache(options: Options) -> None:
    """Show the user's cache; with ``--collect`` or ``--max-size``, collect it first.

    Raises:
        UsageError: a size is none.
        EnvironmentMissingError: another run uses the cache.
    """
    store = user_store(os.environ)
    reporter = choose_reporter(os.environ, quiet=False, stream=sys.stdout)
    given, origin = options.max_size, "--max-size"
    if given is None:
        given, origin = os.environ.get(VARIABLE), f"{VARIABLE} in the environment"
    limit = read_limit(given, origin)
    now, done = time.time(), None
    if options.collect or options.max_size is not None:
        done = _collect(store, limit, now, dry_run=bool(options.dry_run))
    kinds = survey(scan(store.root))
    if options.json:
        print_json(cache_json(store, kinds, limit, done))
        return
    _show(reporter, store, kinds, limit, now)
    if done is not None:
        verb = "would remove" if options.dry_run else "removed"
        reporter.note(f"{verb} {done.files} files, {human_size(done.freed)}")


def tidy_cache(shop: Workshop, outcomes: Iterable[Outcome]) -> None:
    """Keep the cache below its size after a run that may have written to it."""
    made = [o.artifact for o in outcomes if o.status is Status.DONE and o.artifact]
    if not made:
        return
    try:
        limit = read_limit(shop.environ.get(VARIABLE), f"{VARIABLE} in the environment")
        done = collect_if_due(shop.store, limit, sum(a.size for a in made), time.time())
    except (UsageError, OSError) as error:
        # What was asked for is made; a cache that cannot be kept small must not hide that.
        shop.reporter.warn(f"the cache is not collected: {error}".replace("\n", "; "))
        return
    if done is not None:
        what = f"{done.files} files of the cache, {human_size(done.freed)}"
        shop.reporter.note(f"removed {what}, that were not used for longest")


def cache_rows(kinds: Iterable[KindUse], now: float) -> list[tuple[str, ...]]:
    """Return a row for each kind: files, size, and how long ago the last use was."""
    return [(kind.kind, str(kind.files), human_size(kind.size), _ages(kind, now)) for kind in kinds]


def cache_json(
    store: Store, kinds: tuple[KindUse, ...], limit: int | None, done: Collected | None
) -> dict[str, Any]:
    """Return what the cache holds as one JSON document; times in seconds since 1970."""
    document: dict[str, Any] = {
        "place": str(store.root),
        "limit": limit,
        "size": _counted(kinds),
        "kinds": {
            kind.kind: {
                "files": kind.files,
                "size": kind.size,
                "oldest_use": int(kind.oldest),
                "newest_use": int(kind.newest),
                "counted": not kind.is_kept,
            }
            for kind in kinds
        },
    }
    if done is not None:
        document["removed"] = {"files": done.files, "size": done.freed}
    return document


def _collect(store: Store, limit: int | None, now: float, *, dry_run: bool) -> Collected:
    if dry_run or not store.root.exists():
        return collect(store.root, limit, now, dry_run=True)
    with store.unused() as is_free:
        if not is_free:
            raise EnvironmentMissingError(
                "another run uses the cache",
                resolution="Collect when it has ended, so that nothing it reads is removed.",
            )
        return collect(store.root, limit, now)


def _show(
    reporter: Reporter, store: Store, kinds: tuple[KindUse, ...], limit: int | None, now: float
) -> None:
    reporter.note(f"place  {store.root}")
    cap = "without a limit" if limit is None else f"of at most {human_size(limit)}"
    reporter.note(f"size   {human_size(_counted(kinds))} {cap}")
    if kinds:
        reporter.table(CACHE_COLUMNS, cache_rows(kinds, now))
    if any(kind.is_kept for kind in kinds):
        reporter.note("The registry's data and tools do not count and are never collected.")


def _counted(kinds: Iterable[KindUse]) -> int:
    return sum(kind.size for kind in kinds if not kind.is_kept)


def _ages(kind: KindUse, now: float) -> str:
    newest, oldest = _age(now - kind.newest), _age(now - kind.oldest)
    return newest if newest == oldest else f"{newest} to {oldest}"


def _age(seconds: float) -> str:
    days = timedelta(seconds=max(0, seconds)).days
    return "today" if days == 0 else "1 day ago" if days == 1 else f"{days} days ago"
