"""Istio's environment names that stand for values of the targets file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buildkit.config.layers import Layer
from buildkit.config.problems import Page

ENVOY_VERSION = "ISTIO_ENVOY_VERSION"
ENVOY_BASE_URL = "ISTIO_ENVOY_BASE_URL"

ENVOY_KEYS = {ENVOY_VERSION: "version", ENVOY_BASE_URL: "base_url"}
"""By name, the key of ``fetch.envoy`` that it stands for."""


def from_environment(environ: Mapping[str, str], root: Path) -> tuple[Layer, ...]:
    """Return what the environment puts over the files, a layer for each name."""
    return tuple(
        Layer(
            page=Page(file=f"{name} in the environment"),
            data={"fetch": {"envoy": {key: environ[name].strip()}}},
            root=root,
        )
        for name, key in ENVOY_KEYS.items()
        if environ.get(name, "").strip()
    )


def has_envoy(data: Mapping[str, Any]) -> bool:
    """Tell whether a configuration fetches Envoy, which the environment can speak of."""
    fetch = data.get("fetch")
    return isinstance(fetch, dict) and isinstance(fetch.get("envoy"), dict)
