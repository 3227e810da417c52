"""Istio's environment names that stand for values of the targets file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from buildkit.config.interpolate import escape
from buildkit.config.layers import Layer
from buildkit.config.problems import Page

ENVOY_VERSION = "ISTIO_ENVOY_VERSION"
ENVOY_BASE_URL = "ISTIO_ENVOY_BASE_URL"

ENVOY_KEYS = {ENVOY_VERSION: "version", ENVOY_BASE_URL: "base_url"}
"""By name, the key of ``fetch.envoy`` that it stands for."""
ARGUMENTS = ("BASE_VERSION", "ISTIO_BASE_REGISTRY")
"""Names that are ARGs of Istio's Dockerfiles under the same name."""


def from_environment(
    environ: Mapping[str, str], data: Mapping[str, Any], root: Path
) -> tuple[Layer, ...]:
    """Return what the environment puts over the files, each name by itself.

    Args:
        environ: the environment.
        data: the files, laid together; they tell whether there is anything to name.
        root: the directory of the targets file.
    """
    return tuple(
        Layer(page=Page(file=f"{name} in the environment"), data=found, root=root)
        for name, found in _values(environ, data)
    )


def _values(
    environ: Mapping[str, str], data: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, key in ENVOY_KEYS.items() if "envoy" in _table(data, "fetch") else ():
        if value := environ.get(name, "").strip():
            yield name, {"fetch": {"envoy": {key: value}}}
    images = {
        name: _table(image, "args")
        for name, image in _table(data, "images").items()
        if isinstance(image, dict) and "dockerfile" in image
    }
    for name in ARGUMENTS if images else ():
        if value := escape(environ.get(name, "").strip()):
            own = {image: {"args": {name: value}} for image, args in images.items() if name in args}
            yield name, {"args": {name: value}, "images": own}


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    # What is no table is left for the decoder to complain about.
    found = data.get(key)
    return found if isinstance(found, dict) else {}
