"""Sizes as they are shown."""

from __future__ import annotations

GIGA = 1_000_000_000


def size(count: int) -> str:
    """Return bytes in decimal units."""
    return f"{count / GIGA:.1f} GB" if count >= GIGA else f"{count / 1_000_000:.0f} MB"
