"""An image's config as typed values.

The fields are those of the OCI image specification 1.1, config.md, and those that
Docker adds: ``Healthcheck``, ``Shell``, ``OnBuild``.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.digest import Digest, canonical_json
from buildkit.errors import BuildError
from buildkit.platform import Platform

Texts = tuple[str, ...]


class Healthcheck(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """How Docker tells that a container is healthy; times in nanoseconds."""

    test: Texts = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RunConfig(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """How a container of an image starts."""

    user: str = ""
    exposed_ports: dict[str, dict[str, str]] | None = None
    env: Texts | None = None
    """As ``NAME=value``."""
    entrypoint: Texts | None = None
    cmd: Texts | None = None
    volumes: dict[str, dict[str, str]] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    shell: Texts | None = None
    on_build: Texts | None = None
    args_escaped: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The variables by name."""
        pairs = (item.partition("=") for item in self.env or ())
        return {name: value for name, _, value in pairs}


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of ``docker history``."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFs(Struct, frozen=True, kw_only=True):
    """The DiffIDs of an image's layers, the lowest first."""

    type: str = "layers"
    diff_ids: Texts = ()


class ImageConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole config of one platform's image."""

    architecture: str
    os: str
    variant: str = ""
    created: str = ""
    author: str = ""
    config: RunConfig | None = None
    rootfs: RootFs = msgspec.field(default_factory=RootFs)
    history: tuple[Step, ...] | None = None

    @classmethod
    def decode(cls, data: bytes) -> ImageConfig:
        """Read a config; fields that are not named here are left out.

        Raises:
            BuildError: it is no config of an image.
        """
        try:
            return decode_json(data, cls)
        except msgspec.MsgspecError as error:
            raise BuildError("an image's config cannot be read", details=str(error)) from error

    @property
    def run(self) -> RunConfig:
        """How a container starts."""
        return self.config or RunConfig()

    @property
    def platform(self) -> Platform:
        """What the image runs on."""
        return Platform(self.os, self.architecture, self.variant)

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers, the lowest first."""
        return tuple(Digest.parse(text) for text in self.rootfs.diff_ids)

    def encode(self) -> bytes:
        """Return the config as canonical JSON, what is unset left out."""
        value: dict[str, Any] = msgspec.to_builtins(self)
        value["config"] = {key: item for key, item in value.get("config", {}).items() if item}
        value["rootfs"] = {"type": self.rootfs.type, "diff_ids": list(self.rootfs.diff_ids)}
        return canonical_json(value)
