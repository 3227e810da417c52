"""What must hold of ``[command.NAME]``, and of what uses its outputs."""

from __future__ import annotations

import graphlib
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from buildkit.config.interpolate import STABLE, has_lone_dollar, names_in
from buildkit.config.model import Command, Config
from buildkit.config.problems import Problems, near_miss
from buildkit.config.source_paths import PREFIX

COMMAND_FILE = "${command."
"""How a path among a command's outputs begins: ``${command.NAME}/OUTPUT``."""
_FILE = re.compile(r"\$\{command\.([^}]*)\}/(.+)")


def used_names(command: Command, kind: str) -> tuple[str, ...]:
    """Return the commands or binaries, by ``kind``, whose outputs a command uses."""
    found = {name for text in _texts(command) for name in names_in(text)}
    prefix = f"{kind}."
    return tuple(sorted(n.removeprefix(prefix) for n in found if n.startswith(prefix)))


def split_output(file: str) -> tuple[str, str]:
    """Return command and output of ``${command.NAME}/OUTPUT``; empty where it is another text."""
    found = _FILE.fullmatch(file)
    return (found[1], posixpath.normpath(found[2])) if found else ("", "")


def has_output(command: Command, output: str) -> bool:
    """Tell whether a command makes a file or directory; a part of what it makes will do."""
    return any(output == o or output.startswith(f"{o}/") for o in _normal(command.outputs))


def check_commands(config: Config, root: Path, problems: Problems) -> None:
    """Add what is wrong with commands, and with what needs them, to ``problems``."""
    for name, command in config.command.items():
        path = f"command.{name}"
        _shape(command, config, path, problems)
        if has_output(command, name) and name in config.binaries.keys() | config.fetch.keys():
            problems.add(path, f"its output '{name}' is the name of a binary too")
        _texts_known(name, command, config, problems)
        for text in (*command.inputs, command.directory):
            if not text.startswith("${") and not any(c in text for c in "*?["):
                _exists(root / text, text, path, problems)
        platforms = command.platforms or ()
        for other in used_names(command, "command"):
            if other in config.command and command.platforms is None:
                _once(other, config.command[other], path, problems)
            _covered(other, platforms, config, path, problems)
    for name, binary in config.binaries.items():
        path = f"binaries.{name}.needs"
        for need in binary.needs:
            if need not in config.command:
                problems.add(path, f"unknown command '{need}'", near_miss(need, config.command))
            else:
                own = config.matrix.platforms if binary.platforms is None else binary.platforms
                _covered(need, own, config, path, problems)
    _cycles(config, problems)


def check_output(
    config: Config, file: str, platforms: Iterable[str], path: str, problems: Problems
) -> None:
    """Add what is wrong with the use of an output by an image or a package."""
    name, output = split_output(file)
    if name not in config.command:
        hint = near_miss(name, config.command)
        problems.add(path, f"unknown command '{name}' in '{file}'", hint)
        return
    command = config.command[name]
    if not has_output(command, output):
        hint = near_miss(output, command.outputs)
        problems.add(path, f"command '{name}' has no output '{output}'", hint)
    _covered(name, platforms, config, path, problems)


def _shape(command: Command, config: Config, path: str, problems: Problems) -> None:
    if not command.argv or not command.argv[0]:
        problems.add(f"{path}.argv", "no program", 'write it as argv = ["make", "all"]')
    if not command.outputs:
        problems.add(f"{path}.outputs", "no output", "nothing could use it, or tell it is done")
    for output in command.outputs:
        normal = posixpath.normpath(output)
        if normal.startswith(("/", "..")) or normal == "." or "$" in output:
            problems.add(f"{path}.outputs", f"'{output}' is no path below the outputs' directory")
    for name in command.platforms or ():
        if name not in config.matrix.platforms:
            hint = near_miss(name, config.matrix.platforms)
            problems.add(f"{path}.platforms", f"unknown platform '{name}'", hint)


def _texts_known(name: str, command: Command, config: Config, problems: Problems) -> None:
    known = STABLE | {"source"} | {f"command.{other}" for other in config.command}
    known |= {f"binary.{other}" for other in (*config.binaries, *config.fetch)}
    if command.platforms is None:
        known -= {"os", "arch"}
    places = [(text, f"command.{name}.argv", known | {"out"}) for text in command.argv]
    places += [(t, f"command.{name}.env.{k}", known | {"out"}) for k, t in command.env.items()]
    places += [(text, f"command.{name}.inputs", known) for text in command.inputs]
    places += [(command.directory, f"command.{name}.directory", known)]
    for text, path, names in places:
        for unknown in sorted(names_in(text) - names):
            problems.add(path, f"unknown variable '${{{unknown}}}'", near_miss(unknown, names))
        if has_lone_dollar(text):
            problems.add(path, f"a lone '$' in '{text}'", "write ${name}, or $$ for a dollar")


def _exists(place: Path, text: str, path: str, problems: Problems) -> None:
    if not place.exists():
        hint = f"below the source it is '{PREFIX}/{text}'"
        problems.add(path, f"'{text}' does not exist beside this file", hint)


def _once(name: str, other: Command, path: str, problems: Problems) -> None:
    if other.platforms is not None:
        problems.add(path, f"'{name}' is made per platform, this once", "give it platforms too")


def _covered(
    name: str, platforms: Iterable[str], config: Config, path: str, problems: Problems
) -> None:
    command = config.command.get(name)
    if command is None or command.platforms is None:
        return
    missing = [platform for platform in platforms if platform not in command.platforms]
    if missing:
        problems.add(path, f"command '{name}' is not for {', '.join(missing)}", "")


def _cycles(config: Config, problems: Problems) -> None:
    graph: dict[str, list[str]] = {}
    for name, command in config.command.items():
        graph[f"command.{name}"] = [f"command.{n}" for n in used_names(command, "command")]
        graph[f"command.{name}"] += [f"binaries.{n}" for n in used_names(command, "binary")]
    for name, binary in config.binaries.items():
        graph[f"binaries.{name}"] = [f"command.{n}" for n in binary.needs]
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        problems.add(error.args[1][0], f"a cycle: {circle}")


def _texts(command: Command) -> Iterator[str]:
    yield from command.argv
    yield from command.inputs
    yield from command.env.values()
    yield command.directory


def _normal(outputs: Iterable[str]) -> Iterator[str]:
    return (posixpath.normpath(output) for output in outputs)
