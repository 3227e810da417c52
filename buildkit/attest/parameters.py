"""The parameters of a build, as its provenance lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from buildkit.plan.units import Compile, RunCommand, Unit


def external_parameters(
    units: Iterable[Unit], *, version: str, source: str, targets: str
) -> dict[str, Any]:
    """Return what the one who asked for a build decided.

    Args:
        units: what was made.
        version: what was stamped.
        source: the address of the source, empty where there is none.
        targets: the name of the configuration file.
    """
    made = sorted(unit.id for unit in units)
    value = {"version": version, "source": source, "targets": targets, "units": made}
    return {key: item for key, item in value.items() if item}


def internal_parameters(units: Iterable[Unit]) -> dict[str, Any]:
    """Return how binaries were compiled, by group of settings, and what commands were run.

    A group whose settings differ between platforms is listed once for each of those,
    as ``agent@linux/arm64``.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    commands: dict[str, dict[str, Any]] = {}
    for unit in units:
        match unit.action:
            case Compile() as action:
                group = found.setdefault(action.group or "default", {})
                group[str(unit.platform)] = _settings(action)
            case RunCommand() as action:
                commands[unit.id] = _command(action)
    return join_parameters(_collapsed(found), commands)


def join_parameters(
    groups: Mapping[str, Mapping[str, Any]], commands: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return internal parameters; nothing stands for what there is nothing of."""
    value = {"compile": groups, "commands": dict(sorted(commands.items()))}
    return {key: item for key, item in value.items() if item}


def merge_groups(
    parts: Iterable[tuple[Mapping[str, Mapping[str, Any]], Iterable[str]]],
) -> dict[str, Mapping[str, Any]]:
    """Join the groups of settings of several parts of a build.

    Args:
        parts: the groups of each, as :func:`internal_parameters` lists them, and its platforms.
    """
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for groups, platforms in parts:
        for label, settings in groups.items():
            name, _, only = label.partition("@")
            for platform in (only,) if only else platforms:
                found.setdefault(name, {})[platform] = settings
    return _collapsed(found)


def _collapsed(
    found: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> dict[str, Mapping[str, Any]]:
    groups: dict[str, Mapping[str, Any]] = {}
    for name, settings in found.items():
        first = next(iter(settings.values()))
        if all(item == first for item in settings.values()):
            groups[name] = first
        else:
            groups |= {f"{name}@{platform}": item for platform, item in settings.items()}
    return groups


def _command(action: RunCommand) -> dict[str, Any]:
    # The names in it, such as ${out}, are no place of this machine.
    value = {"argv": list(action.argv), "env": dict(action.env), "directory": action.where}
    return {key: item for key, item in value.items() if item}


def _settings(action: Compile) -> dict[str, Any]:
    value = {
        "toolchain": action.toolchain,
        "tags": list(action.tags),
        "ldflags": list(action.ldflags),
        "gcflags": list(action.gcflags),
        "cgo": action.cgo,
        "env": dict(action.env),
        "trimpath": action.trimpath,
        "workspace": action.workspace,
    }
    return {key: item for key, item in value.items() if item not in ("", [], {})}
