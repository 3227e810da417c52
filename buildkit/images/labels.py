"""OCI labels, appended to the rendered Dockerfile so that it stays the image's one source.

The keys are those of the OCI image specification 1.1, annotations.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from buildkit.config.interpolate import interpolate
from buildkit.images.local import LocalBase
from buildkit.plan.units import BuildImage

PREFIX = "org.opencontainers.image."


def oci_labels(
    *,
    title: str = "",
    description: str = "",
    version: str = "",
    revision: str = "",
    source: str = "",
    licenses: str = "",
    created: str = "",
    base_name: str = "",
    base_digest: str = "",
) -> tuple[tuple[str, str], ...]:
    """Return label names and values, those without a value left out."""
    values = {
        "title": title,
        "description": description,
        "version": version,
        "revision": revision,
        "source": source,
        "licenses": licenses,
        "created": created,
        "base.name": base_name,
        "base.digest": base_digest,
    }
    return tuple((PREFIX + key, value) for key, value in values.items() if value)


def append_labels(text: str, labels: Iterable[tuple[str, str]], *, escape: str = "\\") -> str:
    """Return a Dockerfile with one LABEL instruction after its last line.

    A later value of a key wins, keys are sorted. Line ends in values become
    spaces, since a Dockerfile cannot hold them.

    Args:
        text: the rendered Dockerfile.
        labels: keys and values.
        escape: its escape character, which also continues lines.
    """
    merged = dict(labels)
    if not merged:
        return text
    pairs = [f"{key}={_quoted(value, escape)}" for key, value in sorted(merged.items())]
    block = f" {escape}\n      ".join(pairs)
    return f"{text.rstrip()}\nLABEL {block}\n"


def _quoted(value: str, escape: str) -> str:
    flat = " ".join(value.splitlines())
    for char in (escape, '"', "$"):
        flat = flat.replace(char, escape + char)
    return f'"{flat}"'


def image_labels(
    action: BuildImage, base: LocalBase, volatile: Callable[[], Mapping[str, str]]
) -> dict[str, str]:
    """Return the labels that the plan leaves open: volatile ones, and what the base is."""
    values = volatile() if action.volatile_labels else {}
    filled = ((name, interpolate(text, values)) for name, text in action.volatile_labels)
    labels = {name: text for name, text in filled if text}
    return labels | dict(oci_labels(base_name=base.label_name, base_digest=base.label_digest))
