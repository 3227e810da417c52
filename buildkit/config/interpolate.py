"""The one interpolation syntax of targets.toml: ``${name}``; ``$$`` is a dollar sign."""

from __future__ import annotations

import re
from collections.abc import Mapping

from buildkit.config.problems import near_miss
from buildkit.errors import ConfigError

STABLE = frozenset({"version", "project", "hub", "os", "arch"})
"""Values whose change rebuilds; ``hub`` is project.release_hub."""

VOLATILE = frozenset({"git.revision", "git.describe", "git.status", "created"})
"""Values that change with every commit; alone they never rebuild (Bazel's term)."""

FETCH = frozenset({"version", "os", "arch", "arch_suffix", "base_url"})
"""What a fetch's URL, checksum and member may use; ``version`` is the fetch's own."""

ENVIRONMENT = "env."
"""How the names of variables begin that stand for the environment's."""

TAG = frozenset({"version", "project"})
"""What a tag may use: one tag names all platforms."""

_TOKEN = re.compile(r"\$\$|\$\{([^}]*)\}|\$")


def names_in(text: str) -> frozenset[str]:
    """Return the variables a text uses."""
    return frozenset(m.group(1) for m in _TOKEN.finditer(text) if m.group(1) is not None)


def has_lone_dollar(text: str) -> bool:
    """Tell whether a text has a dollar sign that begins no variable."""
    return any(match.group(0) == "$" for match in _TOKEN.finditer(text))


def escape(text: str) -> str:
    """Write a text so that interpolating it gives the text itself."""
    return text.replace("$", "$$")


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Replace every ``${name}``.

    Raises:
        ConfigError: a name is not among ``values``, or a dollar sign stands alone.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if match.group(0) == "$$":
            return "$"
        if name is None:
            raise ConfigError(
                f"a lone '$' in '{text}'", resolution="Write ${name}, or $$ for a dollar."
            )
        if name not in values:
            raise ConfigError(
                f"unknown variable '${{{name}}}' in '{text}'", details=near_miss(name, values)
            )
        return values[name]

    return _TOKEN.sub(value, text)
