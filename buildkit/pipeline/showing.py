"""`invoke config`: the configuration in force, and who wrote each value of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from buildkit.config.load import Project
from buildkit.config.problems import join_path
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.options import Options


def show_config(options: Options) -> None:
    """Print every value with its origin; a default that is empty is left out.

    Raises:
        UsageError, ConfigError: see :func:`buildkit.config.load.load_project`.
    """
    shop = Workshop.open(options)
    project = shop.project
    values = tuple(config_values(project))
    if options.json:
        files = [os.path.relpath(path, project.root) for path in project.files]
        print_json(
            {
                "files": files,
                "values": {key: {"value": v, "origin": origin} for key, v, origin in values},
            }
        )
        return
    for key, value, origin in values:
        sys.stdout.write(f"{key} = {json.dumps(value, ensure_ascii=False)}  # {origin}\n")


def config_values(project: Project) -> Iterator[tuple[str, Any, str]]:
    """Yield key, value and origin of what is configured, lists whole."""
    for path, value in _leaves(msgspec.to_builtins(project.config), ()):
        key = join_path(path)
        given = path in project.origins.written
        if given or value:
            yield key, value, _origin(project, path, key) if given else "default"


def _origin(project: Project, path: tuple[str, ...], key: str) -> str:
    place = project.origins.page(key).place(key)
    name = path[1] if len(path) > 1 else ""
    is_version = path[0] == "fetch" and path[2:] == ("version",)
    from_source = project.versions.get(name) if is_version else project.arguments.get(key)
    return f"{from_source}, {place}" if from_source else place


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(value, dict) or not value:
        yield path, value
        return
    for key, item in value.items():
        yield from _leaves(item, (*path, key))
