"""The JSON Schema fits the types that decode a targets file, and the file we ship."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import msgspec
import tomli

from buildkit.config import model, release_model
from buildkit.config.schema import json_schema
from buildkit.config.table import Table

SCHEMA = json_schema()
ROOT = Path(__file__).parents[3]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, or the one alternative that is a table."""
    for option in schema.get("anyOf", []):
        if "$ref" in option:
            return resolved(option)
    if "$ref" in schema:
        found: dict[str, Any] = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        return found
    return schema


def check(value: Any, schema: dict[str, Any], path: str) -> None:
    """Compare a decoded value with a schema by the presence of keys."""
    schema = resolved(schema)
    if isinstance(value, list):
        for item in value:
            check(item, schema.get("items", {}), path)
    if not isinstance(value, dict):
        return
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    assert set(schema.get("required", ())) <= set(value), path
    for key, item in value.items():
        assert key in properties or isinstance(others, dict), f"{path}.{key}"
        check(item, properties.get(key, others), f"{path}.{key}")


def test_the_shipped_targets_file_has_only_keys_of_the_schema() -> None:
    check(tomli.loads((ROOT / "targets.toml").read_text()), SCHEMA, "")


def test_every_table_is_described_with_exactly_its_fields() -> None:
    tables = {
        name: kind
        for module in (model, release_model)
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Table) and kind != Table
    }
    assert tables.keys() == SCHEMA["$defs"].keys()
    for name, kind in tables.items():
        fields = {item.name for item in msgspec.structs.fields(kind)}
        definition = SCHEMA["$defs"][name]
        assert set(definition["properties"]) == fields, name
        assert definition["additionalProperties"] is False, name


def test_fields_carry_the_words_of_the_model() -> None:
    image = SCHEMA["$defs"]["Image"]["properties"]
    assert image["platforms"]["description"] == "Default: the Linux platforms of the matrix."
    assert SCHEMA["$defs"]["Image"]["description"] == "One container image."


def test_names_and_platforms_are_checked_while_typing() -> None:
    assert "pattern" in SCHEMA["$defs"]["Matrix"]["properties"]["platforms"]["items"]
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
