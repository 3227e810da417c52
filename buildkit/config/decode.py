"""Decode TOML tables into frozen types, naming the exact place of what is wrong.

msgspec checks the leaves; this walk adds the keys of mappings to the path and
near misses for unknown keys, which its messages leave out.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from buildkit.config.problems import Problems, join_path, near_miss

_MISSING = object()


def decode(value: Any, kind: Any, path: str, problems: Problems) -> Any:
    """Convert a TOML value to ``kind``; what does not fit is added to ``problems``."""
    kind, meta = _strip(kind)
    if isinstance(value, dict):
        kind = _table_of(kind)
    origin = typing.get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(value, kind, path, problems)
    if origin is dict and isinstance(value, dict):
        return _mapping(value, kind, path, problems)
    if origin is tuple and isinstance(value, list) and len(typing.get_args(kind)) > 1:
        item = typing.get_args(kind)[0]
        return tuple(decode(v, item, f"{path}[{i}]", problems) for i, v in enumerate(value))
    return _leaf(value, meta if meta is not None else kind, path, problems)


def _strip(kind: Any) -> tuple[Any, Any]:
    """Unwrap ``X | None`` and ``Annotated[X, ...]``; the second item is the annotated type."""
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        rest = [arg for arg in typing.get_args(kind) if arg is not type(None)]
        if len(rest) == 1:
            return _strip(rest[0])
    if origin is typing.Annotated:
        return typing.get_args(kind)[0], kind
    return kind, None


def _table_of(kind: Any) -> Any:
    """Return the one table among the members of a union, or the type itself."""
    if typing.get_origin(kind) not in {typing.Union, types.UnionType}:
        return kind
    tables = [
        t for t in typing.get_args(kind) if isinstance(t, type) and issubclass(t, msgspec.Struct)
    ]
    return tables[0] if len(tables) == 1 else kind


def _struct(value: Any, kind: type[msgspec.Struct], path: str, problems: Problems) -> Any:
    if not isinstance(value, dict):
        problems.add(path, f"expected a table, got {_name(value)}")
        return None
    fields = _fields(kind)
    for key in (key for key in value if key not in fields):
        problems.add(_join(path, key), "unknown key", near_miss(key, fields))
    before = len(problems.found)
    decoded: dict[str, Any] = {}
    for name, item in fields.items():
        given = value.get(name, _MISSING)
        if given is not _MISSING:
            decoded[name] = decode(given, item.type, _join(path, name), problems)
        elif item.required:
            problems.add(_join(path, name), "required key is missing")
    return kind(**decoded) if len(problems.found) == before else None


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    # msgspec evaluates every annotation anew each time.
    return {item.name: item for item in msgspec.structs.fields(kind)}


def _mapping(value: dict[str, Any], kind: Any, path: str, problems: Problems) -> Any:
    key_kind, value_kind = typing.get_args(kind)
    return {
        _leaf(key, key_kind, _join(path, key), problems): decode(
            item, value_kind, _join(path, key), problems
        )
        for key, item in value.items()
    }


def _leaf(value: Any, kind: Any, path: str, problems: Problems) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problems.add(path, _readable(str(error), value, kind))
        return value


def _readable(message: str, value: Any, kind: Any) -> str:
    pattern = re.search(r"matching regex '(.*)'", message)
    if pattern:
        return f"'{value}' is not valid here (it must match {pattern.group(1)})"
    if message.startswith("Invalid enum value"):
        message += f"; it can be {', '.join(_choices(kind))}"
    return message.replace("`", "'").split(" - at ")[0]


def _choices(kind: Any) -> Iterator[str]:
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        yield from map(repr, members)
    elif origin is tuple:
        yield "an array"
    elif origin in {typing.Union, types.UnionType}:
        for member in members:
            yield from _choices(member)


def _join(path: str, key: str) -> str:
    quoted = join_path((key,))
    return f"{path}.{quoted}" if path else quoted


def _name(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "a boolean"}.get(
        type(value), type(value).__name__
    )
