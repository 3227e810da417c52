"""What the user asked for on the command line, merged over all tasks of one call."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from buildkit.errors import UsageError

REPEATED = ("set", "envoy")
"""The flags that may be given again for more."""


class Goal(StrEnum):
    """What one task of a call wants made."""

    BUILD = "build"
    ENVOY = "envoy"
    DOCKER = "docker"
    PACKAGE = "package"


class Options(Struct, frozen=True, kw_only=True):
    """Flags of the tasks; None is a flag that was not given.

    Lists are comma-separated text, as they were typed.
    """

    platform: str | None = None
    only: str | None = None
    targets: str | None = None
    source: str | None = None
    out: str | None = None
    hub: str | None = None
    tag: str | None = None
    version: str | None = None
    jobs: int | None = None
    envoy: tuple[str, ...] | None = None
    """What --envoy gave, each a file or an image."""
    debian_archive: str | None = None
    engine: str | None = None
    variant: str | None = None
    push: bool | None = None
    load: bool | None = None
    no_clobber: bool | None = None
    layout: bool | None = None
    save: str | None = None
    stamp: bool | None = None
    collect: bool | None = None
    max_size: str | None = None
    symbols: bool | None = None
    force: bool | None = None
    offline: bool | None = None
    fail_fast: bool | None = None
    new_tag: str | None = None
    as_is: bool | None = None
    bare: bool | None = None
    dry_run: bool | None = None
    set: tuple[str, ...] | None = None
    """What --set gave, each as ``dotted.path=value``."""
    json: bool | None = None
    quiet: bool | None = None
    username: str | None = None
    password_stdin: bool | None = None
    snapshot: bool | None = None
    dist: str | None = None
    to: str | None = None
    rebuild: bool | None = None
    shard: str | None = None
    shards: int | None = None
    runner: str | None = None
    previous: str | None = None
    exec: str | None = None
    key: str | None = None
    sign: bool | None = None
    expect_source: str | None = None
    expect_builder: str | None = None
    insecure: str | None = None
    legacy_tags: bool | None = None
    """What `invoke watch` runs after a success, as a shell's word list."""

    def merge(self, other: Options) -> Options:
        """Join the flags of two tasks of one call.

        Raises:
            UsageError: both give a flag, with different values.
        """
        merged: dict[str, Any] = {}
        for name in (item.name for item in fields(self)):
            mine, theirs = getattr(self, name), getattr(other, name)
            if name in REPEATED and mine and theirs:
                merged[name] = tuple(dict.fromkeys((*mine, *theirs)))
                continue
            if mine is not None and theirs is not None and mine != theirs:
                flag = f"--{name.replace('_', '-')}"
                both = f"{flag} and --no-{name} are both given"
                raise UsageError(
                    both
                    if mine in (True, False)
                    else f"{flag} is given twice: '{mine}' and '{theirs}'",
                    details="Flags given to one task of a call hold for all of them.",
                    resolution="Give one.",
                )
            merged[name] = theirs if mine is None else mine
        return Options(**merged)


def split_list(text: str | None) -> tuple[str, ...]:
    """Read a comma-separated list, without empty items."""
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())
