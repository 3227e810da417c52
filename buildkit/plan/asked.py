"""Which bases the images of a call may start from, before there is a graph."""

from __future__ import annotations

from buildkit.config.model import Config
from buildkit.plan.settings import Settings


def asked_bases(config: Config, settings: Settings) -> frozenset[str]:
    """Return the names of these bases: rather one too many than one too few."""
    patterns = settings.only or settings.only_images
    names = {_name(pattern) for pattern in patterns}
    if not patterns:
        names = {name for name, image in config.images.items() if image.default}
    if any(image.dockerfile for name, image in config.images.items() if name in names):
        # What a Dockerfile names is known when it has been read.
        return frozenset(config.bases)
    found: dict[str, None] = {}
    for name in names:
        _follow(config, name, found)
    return frozenset(found) & config.bases.keys()


def _name(pattern: str) -> str:
    """Return ``pilot`` of ``image/pilot:distroless@linux/amd64``."""
    return pattern.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _follow(config: Config, name: str, found: dict[str, None]) -> None:
    if name in found:
        return
    found[name] = None
    image = config.images.get(name)
    for base in image.base if image else ():
        others = [
            variant.base[base] for variant in config.variants.values() if base in variant.base
        ]
        for start in (base, *others):
            _follow(config, start, found)
