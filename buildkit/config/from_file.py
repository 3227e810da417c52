"""Read a value that stands in a file of the source tree: a first line, JSON, or one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from buildkit.config.model import FromFile
from buildkit.errors import ConfigError

_STEP = re.compile(
    r"\.?(?P<key>[A-Za-z_][\w-]*)|\[(?P<index>\d+)\]"
    r"|\[(?P<name>[A-Za-z_][\w-]*)=(?P<value>[^\]]*)\]"
)


def read_value(tree: Path, rule: FromFile, where: str) -> str:
    """Return the value that a rule names.

    Args:
        tree: the source tree.
        rule: the file, and where in it.
        where: what wants the value, for messages.

    Raises:
        ConfigError: there is no such file, or the value is not in it exactly once.
    """
    text = _read(tree, rule, where)
    if rule.json:
        return _of_json(text, rule, where)
    if rule.line:
        return _of_line(text, rule, where)
    lines = text.strip().splitlines()
    if not lines:
        raise ConfigError(f"{where}: {rule.file} is empty")
    return lines[0].strip()


def phrase(rule: FromFile) -> str:
    """Say where a value stands, for `invoke plan`."""
    if rule.json:
        return f"{rule.json} in {rule.file}"
    return f"the line {rule.line} of {rule.file}" if rule.line else f"the file {rule.file}"


def rule_problem(rule: FromFile) -> str:
    """Say what is wrong with a rule, whatever the file holds; empty if nothing is."""
    if rule.json and rule.line:
        return "give either json or line"
    if rule.json and not _steps(rule.json):
        return f"'{rule.json}' is no path: write it as [name=ENVOY].sha, .key or [0]"
    if rule.line:
        try:
            groups = re.compile(rule.line).groups
        except re.error as error:
            return f"'{rule.line}' is no regular expression: {error}"
        return "" if groups == 1 else f"'{rule.line}' needs exactly one group for the value"
    return ""


def _read(tree: Path, rule: FromFile, where: str) -> str:
    try:
        return (tree / rule.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"{where}: {rule.file} cannot be read from the source tree",
            details=f"{tree / rule.file}: {reason}",
            resolution="Mend the file's name, or write the value itself.",
        ) from error


def _of_json(text: str, rule: FromFile, where: str) -> str:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{where}: {rule.file} is no JSON", details=str(error)) from error
    walked = ""
    for step in _steps(rule.json):
        value = _follow(value, step, rule, f"{where}: {rule.file}{' ' if walked else ''}{walked}")
        walked += step.group(0)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise ConfigError(
            f"{where}: {rule.json} in {rule.file} is no text or number",
            resolution="Let the path end at one.",
        )
    return str(value)


def _follow(value: Any, step: re.Match[str], rule: FromFile, place: str) -> Any:
    key, index, name = step.group("key", "index", "name")
    found: list[Any] = []
    if key is not None and isinstance(value, dict):
        found = [value[key]] if key in value else []
    elif index is not None and isinstance(value, list):
        found = value[int(index) : int(index) + 1]
    elif name is not None and isinstance(value, list):
        wanted = step.group("value").strip("\"'")
        found = [v for v in value if isinstance(v, dict) and str(v.get(name)) == wanted]
    if len(found) == 1:
        return found[0]
    count = f"{len(found)} items match" if found else "there is no"
    raise ConfigError(
        f"{place}: {count} {step.group(0)}",
        details=_has(value),
        resolution=f"Mend the path {rule.json}.",
    )


def _has(value: Any) -> str:
    match value:
        case dict():
            return f"It has {', '.join(map(str, value))}."
        case list():
            names = [str(v["name"]) for v in value if isinstance(v, dict) and "name" in v]
            return f"It is a list of {len(value)}" + (f": {', '.join(names)}." if names else ".")
        case _:
            return "It is a plain value."


def _of_line(text: str, rule: FromFile, where: str) -> str:
    lines = enumerate(text.splitlines(), start=1)
    found = [(n, m.group(1)) for n, line in lines if (m := re.fullmatch(rule.line, line.rstrip()))]
    if len(found) == 1 and found[0][1]:
        return str(found[0][1])
    if len(found) == 1:
        what = "the group of the match is empty"
    elif found:
        what = f"lines {', '.join(str(n) for n, _ in found)} match"
    else:
        what = "no whole line matches"
    raise ConfigError(
        f"{where}: {rule.file}: {what} {rule.line}",
        resolution="Write the expression so that it matches one line from start to end.",
    )


def _steps(path: str) -> list[re.Match[str]]:
    """Return the steps of a path; none where it is malformed."""
    found, place = [], 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            return []
        found.append(step)
        place = step.end()
    return found
