"""Istio's environment names that stand for values of the targets file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buildkit.config.layers import Layer
from buildkit.config.problems import Page

ENVOY_VERSION = "ISTIO_ENVOY_VERSION"


def from_environment(environ: Mapping[str, str], root: Path) -> Layer | None:
    """Return what the environment puts over the files, if it names anything."""
    version = environ.get(ENVOY_VERSION, "").strip()
    if not version:
        return None
    data = {"fetch": {"envoy": {"version": version}}}
    return Layer(page=Page(file=f"{ENVOY_VERSION} in the environment"), data=data, root=root)


def has_envoy(data: Mapping[str, Any]) -> bool:
    """Tell whether a configuration fetches Envoy, which the environment can speak of."""
    fetch = data.get("fetch")
    return isinstance(fetch, dict) and isinstance(fetch.get("envoy"), dict)
