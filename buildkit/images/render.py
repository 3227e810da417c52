"""Dockerfile templates: Jinja2, where a variable that does not exist is an error."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from buildkit.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment, nodes

_GUARDS = frozenset({"default", "d"})
_TESTS = frozenset({"defined", "undefined"})


class Variable(Struct, frozen=True, order=True):
    """A variable of a template by its dotted name, and the line that uses it."""

    line: int
    name: str


def render(template: Path, variables: Mapping[str, str]) -> str:
    """Render a template.

    Args:
        template: the file.
        variables: values by dotted name, such as ``platform.arch``.

    Raises:
        ConfigError: the file cannot be read, has a syntax error, or uses a
            variable that does not exist; the message names the line.
    """
    import jinja2

    text = read_template(template)
    check_variables(template, text, variables)
    environment = _environment(template, text)
    try:
        return environment.get_template(str(template)).render(_nested(variables))
    except jinja2.TemplateError as error:
        raise _failed(template, error, variables) from error


def read_template(template: Path) -> str:
    """Return a template's text.

    Raises:
        ConfigError: there is none, or it is not UTF-8.
    """
    try:
        return template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the template {template} cannot be read",
            details=str(getattr(error, "strerror", "") or error),
            resolution="Create it, or name another with images.<name>.template.",
        ) from error


def referenced_variables(template: Path, text: str) -> tuple[Variable, ...]:
    """Return the variables a template needs, without rendering it.

    Those it sets itself are left out, and so are those that ``default`` or
    ``is defined`` allow to be missing.

    Raises:
        ConfigError: the template has a syntax error.
    """
    import jinja2
    from jinja2 import meta

    environment = _environment(template, text)
    try:
        tree = environment.parse(text, filename=str(template))
    except jinja2.TemplateSyntaxError as error:
        raise _failed(template, error, {}) from error
    free = meta.find_undeclared_variables(tree)
    return tuple(sorted({item for item in _walk(tree) if item.name.split(".")[0] in free}))


def check_variables(template: Path, text: str, known: Iterable[str]) -> None:
    """Check that every variable a template needs is known.

    Args:
        template: its name in messages.
        text: its content.
        known: dotted names; a prefix such as ``platform`` is known as well.

    Raises:
        ConfigError: one is not; the message names line and near misses.
    """
    names = frozenset(known)
    groups = {name.rsplit(".", 1)[0] for name in names if "." in name}
    for variable in referenced_variables(template, text):
        if variable.name not in names | groups:
            raise _undefined(template, variable, names)


def _environment(template: Path, text: str) -> Environment:
    import jinja2

    def load(name: str) -> tuple[str, str, None] | None:
        # Includes are not followed: the key of an image counts one template's bytes.
        return (text, name, None) if name == str(template) else None

    return jinja2.Environment(  # noqa: S701 - the output is a Dockerfile, not HTML
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _nested(variables: Mapping[str, str]) -> dict[str, Any]:
    # An image without variables still has the group, so that `default` works on it.
    root: dict[str, Any] = {"vars": {}}
    for name, value in variables.items():
        *groups, last = name.split(".")
        place = root
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return root


def _walk(node: nodes.Node) -> Iterator[Variable]:
    from jinja2 import nodes

    if isinstance(node, nodes.Filter) and node.name in _GUARDS:
        yield from (item for argument in node.args for item in _walk(argument))
        return
    if isinstance(node, nodes.Test) and node.name in _TESTS:
        return
    name = _dotted(node)
    if name:
        yield Variable(node.lineno, name)
        return
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _dotted(node: nodes.Node) -> str:
    from jinja2 import nodes

    match node:
        case nodes.Name(ctx="load"):
            return str(node.name)
        case nodes.Getattr():
            owner, key = _dotted(node.node), node.attr
        case nodes.Getitem(arg=nodes.Const(value=str() as key)):
            owner = _dotted(node.node)
        case _:
            return ""
    return f"{owner}.{key}" if owner else ""


def _undefined(template: Path, variable: Variable, names: frozenset[str]) -> ConfigError:
    near = difflib.get_close_matches(variable.name, sorted(names), n=3, cutoff=0.5)
    there = ", ".join(sorted(names)) or "none"
    return ConfigError(
        f"{template}, line {variable.line}: there is no variable '{variable.name}'",
        details=f"Variables of this template: {there}.",
        resolution=f"Did you mean {' or '.join(near)}?"
        if near
        else "Declare it under images.<name>.variables and write it as vars.<its name>.",
    )


def _failed(template: Path, error: Exception, names: Iterable[str]) -> ConfigError:
    line = getattr(error, "lineno", None)
    if line is None:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((item.lineno for item in reversed(frames) if item.filename == str(template)), 0)
    there = ", ".join(sorted(names))
    return ConfigError(
        f"{template}, line {line}: {error}",
        details=f"Variables of this template: {there}." if there else "",
        resolution="See Jinja2's template documentation for the syntax.",
    )
