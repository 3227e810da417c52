"""``--set images.pilot.base=static``: single values for one run, over all files."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomli

from buildkit.config.layers import Layer
from buildkit.config.model import Config
from buildkit.config.problems import Page, near_miss
from buildkit.errors import UsageError

_PAGE = Page(file="--set")


def assigned(assignments: Sequence[str], below: Mapping[str, Any], root: Path) -> Layer:
    """Make a layer of assignments.

    A value is TOML where the key can hold that, else text; where the key wants a
    list, text is split at commas.

    Args:
        assignments: each as ``dotted.path=value``.
        below: what they are laid over, to tell names that exist.
        root: the directory of the targets file.

    Raises:
        UsageError: one is malformed, names no key, or contradicts another.
    """
    data: dict[str, Any] = {}
    for text in assignments:
        keys, value = _parse(text, below)
        table = data
        for key in keys[:-1]:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise _twice(keys)
        if table.setdefault(keys[-1], value) != value:
            raise _twice(keys)
    return Layer(page=_PAGE, data=data, root=root)


def _twice(keys: Sequence[str]) -> UsageError:
    return UsageError(f"--set {'.'.join(keys)} is given twice", resolution="Give one value.")


def _parse(text: str, below: Mapping[str, Any]) -> tuple[tuple[str, ...], Any]:
    path, equals, value = text.partition("=")
    try:
        table: Any = tomli.loads(f"{path} = 0")
    except tomli.TOMLDecodeError:
        table = {}
    keys: list[str] = []
    while isinstance(table, dict) and len(table) == 1:
        ((key, table),) = table.items()
        keys.append(key)
    if not equals or not keys or "\n" in path:
        raise UsageError(
            f"--set {text}: expected KEY=VALUE",
            resolution="Write it as --set images.pilot.base=static.",
        )
    return tuple(keys), _value(value, _kind(tuple(keys), below))


def _kind(keys: tuple[str, ...], below: Mapping[str, Any]) -> Any:
    """Return the type of a key's value.

    Raises:
        UsageError: there is no such key, or a table on the way has no such name.
    """
    kind: Any = Config
    table: Any = below
    for number, key in enumerate(keys, start=1):
        known = _known(_plain(kind), table if isinstance(table, Mapping) else {})
        if number == len(keys) and typing.get_origin(_plain(kind)) is dict:
            # The last key may be a new name, such as a mirror or a stamp.
            return typing.get_args(_plain(kind))[1]
        if key not in known:
            raise UsageError(
                f"--set {'.'.join(keys)}: there is no {'.'.join(keys[:number])}",
                details=near_miss(key, known),
            )
        kind, table = known[key], table.get(key) if isinstance(table, Mapping) else None
    return kind


def _known(kind: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that a table may have, with their types."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.name: field.type for field in msgspec.structs.fields(kind)}
    if typing.get_origin(kind) is dict:
        return dict.fromkeys(table, typing.get_args(kind)[1])
    return {}


def _plain(kind: Any) -> Any:
    """Unwrap ``X | None``, ``Annotated`` and unions with one table."""
    if typing.get_origin(kind) is typing.Annotated:
        return _plain(typing.get_args(kind)[0])
    if typing.get_origin(kind) not in {typing.Union, types.UnionType}:
        return kind
    rest = [arg for arg in typing.get_args(kind) if arg is not type(None)]
    tables = [t for t in rest if isinstance(t, type) and issubclass(t, msgspec.Struct)]
    return _plain(rest[0]) if len(rest) == 1 else tables[0] if len(tables) == 1 else kind


def _value(text: str, kind: Any) -> Any:
    value = _toml(text)
    if _fits(value, kind):
        return value
    if _fits(text, kind):
        return text
    words = [word.strip() for word in text.split(",") if word.strip()]
    return words if isinstance(value, str) and _fits(words, kind) else value


def _toml(text: str) -> Any:
    try:
        table = tomli.loads(f"value = {text}")
    except tomli.TOMLDecodeError:
        return text
    return table["value"] if len(table) == 1 else text


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
