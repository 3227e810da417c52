"""The text of a targets file, read as the file that it would be."""

from __future__ import annotations

from pathlib import Path

from buildkit.config.load import load_project
from buildkit.config.model import Config


def parse_config(text: str, file: str, root: Path) -> Config:
    """Return what a text decodes to.

    Raises:
        ConfigError: it is wrong.
    """
    (root / file).write_text(text)
    return load_project(root / file).config
