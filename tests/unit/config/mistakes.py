"""A targets file with one mistake in it, and what is said of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import ConfigError
from tests.unit.config.parsing import parse_config


def changed(text: str, before: str, after: str) -> str:
    """Replace the first place of ``before``, which has to be there."""
    assert before in text
    return text.replace(before, after, 1)


def complaints(text: str, root: Path) -> str:
    """Return what is wrong with a targets file, one mistake a line."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "targets.toml", root)
    assert caught.value.exit_code == 3
    return caught.value.details
