"""Units of ``[command.NAME]``: one for all platforms, or one for each of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from buildkit.config.commands import split_output, used_names
from buildkit.config.interpolate import STABLE, escape, interpolate, names_in
from buildkit.config.model import Command
from buildkit.config.source_paths import PREFIX
from buildkit.plan.binary_units import add_tool, command_id
from buildkit.plan.draft import Draft
from buildkit.plan.units import Kind, RunCommand, Unit, unit_id
from buildkit.platform import Platform


def add_commands(draft: Draft) -> None:
    """Add the unit of every command, each after those that it uses."""
    for name, command in draft.config.command.items():
        if command.platforms is None:
            _add(draft, name, None)
        for platform in draft.settings.platforms if command.platforms is not None else ():
            _add(draft, name, platform)
    for unit in [unit for unit in draft.units.values() if unit.kind is Kind.BINARY]:
        absent = [need for need in unit.needs if need not in draft.units]
        if absent:
            # Whoever uses the binary finds that it does not exist.
            del draft.units[unit.id]
            draft.blocked[unit.id] = f"needs {', '.join(absent)}, which cannot be made"


def place_of(draft: Draft, file: str, platform: Platform) -> Path:
    """Return where a file lies: beside targets.toml, or an output of a command.

    That is written as ``${command.NAME}/OUTPUT``.
    """
    name, output = split_output(file)
    return command_folder(draft, name, platform) / output if name else draft.project.root / file


def command_folder(draft: Draft, name: str, platform: Platform | None) -> Path:
    """Return what the outputs of a command are relative to."""
    command = draft.config.command[name]
    if command.into_source:
        return draft.project.source
    own = platform if command.platforms is not None else None
    above = draft.settings.out / own.slug if own else draft.settings.out
    return above / "command" / name


def commands_of(draft: Draft, files: Iterable[str], platform: Platform) -> tuple[str, ...]:
    """Return the unit ids of the commands whose outputs are among files."""
    names = dict.fromkeys(name for file in files if (name := split_output(file)[0]))
    return tuple(command_id(draft.config, name, platform) for name in names)


def _add(draft: Draft, name: str, platform: Platform | None) -> None:
    command = draft.config.command[name]
    identity = unit_id(Kind.COMMAND, name, platform)
    if identity in draft.units or identity in draft.blocked:
        return
    if platform is not None and str(platform) not in (command.platforms or ()):
        draft.missing[identity] = "targets.toml does not run it for this platform"
        return
    others = used_names(command, "command")
    for other in others:
        _add(draft, other, platform if draft.config.command[other].platforms else None)
    needs = [command_id(draft.config, other, platform) for other in others]
    needs += [_binary(draft, binary, platform) for binary in used_names(command, "binary")]
    absent = [need for need in needs if need not in draft.units]
    if absent:
        draft.blocked[identity] = f"needs {', '.join(absent)}, which does not exist"
        return
    action = _action(draft, name, command, platform)
    unit = Unit(kind=Kind.COMMAND, name=name, platform=platform, action=action, needs=tuple(needs))
    draft.add(unit)


def _binary(draft: Draft, name: str, platform: Platform | None) -> str:
    """Return the unit of a binary: for the command's platform, or to run on this machine."""
    if platform is None:
        return add_tool(draft, name)
    kind = Kind.BINARY if name in draft.config.binaries else Kind.FETCH
    return unit_id(kind, name, platform)


def _action(draft: Draft, name: str, command: Command, platform: Platform | None) -> RunCommand:
    paths = _paths(draft, command, platform)
    places = {key: str(path) for key, path in paths}
    values = draft.values(platform or draft.facts.host)
    # What depends on the place stays a name until it runs.
    kept = {key: f"${{{key}}}" for key in (*places, "out")}
    partly = {key: escape(values[key]) for key in STABLE} | kept

    def stable(text: str) -> str:
        return interpolate(text.replace("$$", "$$$$"), partly)

    def place(text: str) -> Path:
        return draft.project.root / interpolate(text, {**values, **places})

    folder = command_folder(draft, name, platform)
    logs = draft.settings.out / (platform.slug if platform else "command") / "logs"
    files = [text for text in command.inputs if not _is_unit_text(text)]
    return RunCommand(
        name=name,
        argv=tuple(map(stable, command.argv)),
        env=tuple((key, stable(text)) for key, text in sorted(command.env.items())),
        directory=place(command.directory),
        where=command.directory,
        inputs=tuple((text.removeprefix(f"{PREFIX}/"), place(text)) for text in files),
        outputs=command.outputs,
        folder=folder,
        into_source=command.into_source,
        paths=paths,
        log=logs / f"command-{name}.log",
    )


def _paths(
    draft: Draft, command: Command, platform: Platform | None
) -> tuple[tuple[str, Path], ...]:
    commands, binaries = used_names(command, "command"), used_names(command, "binary")
    return (
        ("source", draft.project.source),
        *((f"command.{name}", command_folder(draft, name, platform)) for name in commands),
        *((f"binary.{n}", draft.output(platform or draft.facts.host, n)) for n in binaries),
    )


def _is_unit_text(text: str) -> bool:
    """Tell whether an input is what another unit makes, which is known by its digest."""
    return any(name.startswith(("binary.", "command.")) for name in names_in(text))
