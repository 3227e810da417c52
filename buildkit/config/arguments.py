"""Values for the ARGs of Dockerfiles: written down, or read from the source tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import structs

from buildkit.config.from_file import phrase, read_value
from buildkit.config.interpolate import escape, interpolate
from buildkit.config.model import Config, FromFile
from buildkit.config.problems import Origins

Arguments = Mapping[str, str | FromFile]


def argument_tables(config: Config) -> Iterator[tuple[str, Arguments]]:
    """Yield every table of arguments with its TOML path."""
    yield "args", config.args
    for name, image in config.images.items():
        yield f"images.{name}.args", image.args
    for name, variant in config.variants.items():
        yield f"variants.{name}.args", variant.args


def files_of_values(config: Config) -> tuple[str, ...]:
    """Return the files of the source tree that versions and arguments stand in."""
    values = [fetch.version for fetch in config.fetch.values()]
    values += [value for _, table in argument_tables(config) for value in table.values()]
    return tuple(sorted({value.file for value in values if isinstance(value, FromFile)}))


def with_arguments(config: Config, tree: Path, origins: Origins) -> tuple[Config, dict[str, str]]:
    """Put the arguments that stand in the source tree in their places.

    Returns:
        The configuration, and for each such argument, by its TOML path, where it stands.

    Raises:
        ConfigError: one is not there exactly once.
    """
    found: dict[str, str] = {}

    def read(table: Arguments, path: str) -> dict[str, str | FromFile]:
        texts: dict[str, str | FromFile] = dict(table)
        for name, rule in table.items():
            if isinstance(rule, FromFile):
                here = f"{path}.{name}"
                where = f"{origins.page(here).place(here)}: {here}"
                # What stands in the tree is no text of ours: a dollar sign is one.
                texts[name] = escape(read_value(tree, rule, where))
                found[here] = phrase(rule)
        return texts

    images = {
        name: structs.replace(image, args=read(image.args, f"images.{name}.args"))
        for name, image in config.images.items()
    }
    variants = {
        name: structs.replace(variant, args=read(variant.args, f"variants.{name}.args"))
        for name, variant in config.variants.items()
    }
    args = read(config.args, "args")
    if not found:
        return config, found
    return structs.replace(config, args=args, images=images, variants=variants), found


def argument_at(config: Config, path: str) -> str:
    """Return the text of the argument at a TOML path, see :func:`with_arguments`."""
    table, _, name = path.rpartition(".")
    return interpolate(str(dict(argument_tables(config))[table][name]), {})
