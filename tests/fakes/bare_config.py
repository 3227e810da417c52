"""A configuration of Invoke for tests of the command line."""

from __future__ import annotations

from typing import Any

from invoke.config import Config


class BareConfig(Config):
    """Without a project's or the system's configuration files."""

    def __init__(self, **given: Any) -> None:
        super().__init__(lazy=True, **given)
