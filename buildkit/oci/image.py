"""Image configs: what Docker and OCI runtimes read beside the layers.

The fields are those of the OCI image specification 1.1, config.md, which
Docker's own format shares.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from buildkit.digest import Digest, canonical_json
from buildkit.platform import Platform


class History(Struct, frozen=True, kw_only=True):
    """One line of ``docker history``."""

    created_by: str
    empty_layer: bool = False


class Settings(Struct, frozen=True, kw_only=True):
    """How a container of the image starts."""

    env: tuple[str, ...] = ()
    """As ``NAME=value``."""
    user: str = ""
    working_dir: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the settings as the specification writes them, what is unset left out."""
        value = {
            "Env": list(self.env),
            "User": self.user,
            "WorkingDir": self.working_dir,
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "Labels": dict(self.labels),
        }
        return {key: item for key, item in value.items() if item}


def timestamp(epoch: int) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC, the form of ``created``."""
    return datetime.fromtimestamp(epoch, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def image_config(
    platform: Platform,
    diff_ids: tuple[Digest, ...],
    *,
    settings: Settings | None = None,
    history: tuple[History, ...] = (),
    epoch: int = 0,
) -> bytes:
    """Return the config of an image as canonical JSON; its sha256 is Docker's image id."""
    created = timestamp(epoch)
    value: dict[str, Any] = {
        "architecture": platform.arch,
        "os": platform.os,
        "created": created,
        "config": (settings or Settings()).to_json(),
        "rootfs": {"type": "layers", "diff_ids": [str(item) for item in diff_ids]},
        "history": [_history_json(item, created) for item in history],
    }
    if platform.variant:
        value["variant"] = platform.variant
    return canonical_json(value)


def _history_json(item: History, created: str) -> dict[str, Any]:
    value: dict[str, Any] = {"created": created, "created_by": item.created_by}
    return value | {"empty_layer": True} if item.empty_layer else value
