"""The JSON Schema of ``targets.toml``, generated from the types that decode it."""

from __future__ import annotations

import ast
import inspect
import itertools
from typing import Any

import msgspec

from buildkit.config import model, release_model


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) with descriptions from the types' docstrings."""
    schema = msgspec.json.schema(model.Config)
    described = _field_docs()
    for name, definition in schema.get("$defs", {}).items():
        for field, text in described.get(name, {}).items():
            if field in definition.get("properties", {}):
                definition["properties"][field].setdefault("description", text)
    config = schema["$defs"]["Config"]
    # A file that extends another leaves to that what every configuration needs.
    config["anyOf"] = [{"required": config.pop("required")}, {"required": ["extends"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _field_docs() -> dict[str, dict[str, str]]:
    """Read the strings that stand below the fields of each class in the model."""
    return {
        node.name: dict(_pairs(node.body))
        for module in (model, release_model)
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef)
    }


def _pairs(body: list[ast.stmt]) -> list[tuple[str, str]]:
    found = []
    for field, text in itertools.pairwise(body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as words)),
            ):
                found.append((name, " ".join(words.split())))
            case _:
                pass
    return found
