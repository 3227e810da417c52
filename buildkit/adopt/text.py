"""The targets.toml of a tree as text, with comments that say where things come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import tomli_w

from buildkit.adopt.model import Binary, FileValue, Findings, Image, Packaged, Prebuilt, Stamp

PLATFORMS = ("linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 100


def write_targets(findings: Findings, *, source: str, toolchain: str) -> str:
    """Return a targets.toml.

    Args:
        findings: what it says.
        source: the tree, as it is seen from the file.
        toolchain: the Go release for machines without one; empty for none.
    """
    parts = [
        _head(findings, source),
        _version(findings),
        _stamps(findings.stamps),
        _matrix(),
        *_go(findings, toolchain),
        _binaries(findings.binaries),
        *(_fetch(item) for item in findings.prebuilt),
        *(_package(item) for item in findings.packages),
        *_variants(findings),
        *(_image(item) for item in findings.images),
        _undecided(findings.undecided),
    ]
    return "\n\n".join("\n".join(lines) for lines in map(list, parts) if lines) + "\n"


def toml_value(value: object) -> str:
    """Write a value as inline TOML; a text with a backslash as a literal where it can be one."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            is_literal = "\\" in value and "'" not in value and value.isprintable()
            return f"'{value}'" if is_literal else _basic(value)
        case FileValue():
            keys = {"file": value.file, "json": value.json, "line": value.line}
            return toml_value({key: text for key, text in keys.items() if text})
        case Mapping():
            pairs = ", ".join(f"{toml_key(k)} = {toml_value(v)}" for k, v in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case Sequence():
            return f"[{', '.join(map(toml_value, value))}]"
        case _:
            raise TypeError(type(value))


def toml_key(key: str) -> str:
    """Write a key, quoted where it has to be."""
    return key if _BARE.fullmatch(key) else _basic(key)


def _basic(text: str) -> str:
    return tomli_w.dumps({"": text}).removeprefix('"" = ').rstrip("\n")


def _commented(lines: Iterable[str], reason: str) -> Iterator[str]:
    yield f"# {reason}:"
    for line in lines:
        yield f"# {line}".rstrip()


def _head(findings: Findings, source: str) -> Iterator[str]:
    yield f"# Made by `invoke init` of {findings.module}. What a comment says could not be"
    yield "# decided, or is for you to know; every key is in `invoke schema`."
    yield "schema_version = 1"
    yield ""
    yield "[project]"
    yield f"name = {toml_value(findings.name)}"
    yield f"source = {toml_value(source)}"
    if findings.release_hub:
        yield f"release_hub = {toml_value(findings.release_hub)}  # stamped, wherever images go"


def _version(findings: Findings) -> Iterator[str]:
    rule = findings.version
    if not rule.file:
        yield "# The version is what `git describe --tags` says; --version or VERSION go before it."
        return
    yield "[version]"
    for key, text in (("file", rule.file), ("line", rule.line), ("suffix", rule.suffix)):
        if text:
            yield f"{key} = {toml_value(text)}"


def _stamps(stamps: Sequence[Stamp]) -> Iterator[str]:
    if not stamps:
        return
    found = any(item.found for item in stamps)
    files = ", ".join(dict.fromkeys(item.origin for item in stamps if item.found))
    yield (f"# As {files} sets them." if found else "# Candidates: variables that look like it.")
    yield "[stamps]"
    for item in stamps:
        if item.text:
            yield f"{toml_key(item.variable)} = {toml_value(item.text)}"
        else:
            remark = f"  # {item.origin} has it; what is it set to?"
            yield f'# {toml_key(item.variable)} = ""{remark}'


def _matrix() -> Iterator[str]:
    yield "[matrix]"
    yield f"platforms = {toml_value(PLATFORMS)}"
    yield 'default = "native"  # this machine, and linux of its architecture; --platform all'


def _go(findings: Findings, toolchain: str) -> Iterator[list[str]]:
    limit, reason = findings.go_limit
    lines = ["[go]"]
    if limit:
        lines.append(f"version = {toml_value(limit)}  # {reason}")
    if toolchain:
        lines.append(f"toolchain = {toml_value(toolchain)}  # for machines without a Go that fits")
    if findings.tags:
        lines.append(f"tags = {toml_value(findings.tags)}")
    if findings.ldflags:
        lines.append(f"ldflags = {toml_value(findings.ldflags)}  # -s -w are always given")
    if len(lines) > 1:
        asked = f"go.mod asks for Go {findings.go}." if findings.go else "go.mod names no Go."
        yield [f"# {asked}", *lines]
    for name, tags in findings.groups.items():
        yield [f"[go.group.{toml_key(name)}]", f"tags = {toml_value(tags)}"]


def _binaries(binaries: Sequence[Binary]) -> Iterator[str]:
    yield "[binaries]"
    for item in (item for item in binaries if not item.left_out):
        if item.doubt:
            yield f"# {item.doubt}"
        yield _binary(item)
    for item in (item for item in binaries if item.left_out):
        yield f"# {item.left_out}:"
        yield f"# {_binary(item)}"


def _binary(item: Binary) -> str:
    table: dict[str, object] = {"package": item.package}
    if item.group:
        table["group"] = item.group
    if item.systems:
        platforms = [name for name in PLATFORMS if name.split("/")[0] in item.systems]
        table["platforms"] = platforms
    return f"{toml_key(item.name)} = {toml_value(table)}"


def _fetch(item: Prebuilt) -> Iterator[str]:
    if item.remark:
        yield f"# {item.remark}"
    yield f"[fetch.{toml_key(item.name)}]"
    yield f"version = {toml_value(item.version)}"
    yield f"base_url = {toml_value(item.base_url)}"
    yield "source = ["
    for source in item.sources:
        yield f"  {toml_value(source)},"
    yield "]"


def _package(item: Packaged) -> list[str]:
    head = f"packages.{toml_key(item.name)}"
    lines = [
        f"[{head}]",
        f"description = {toml_value(item.description)}",
        f"maintainer = {toml_value(item.maintainer)}",
        f"formats = {toml_value(item.formats)}",
        f"binaries = {toml_value(item.binaries)}",
    ]
    if item.depends:
        lines.append(f"depends = {toml_value(item.depends)}")
    if item.scripts:
        lines.append(f"scripts = {toml_value(_in_source(item.scripts))}")
    parts = [lines]
    for key, paths in (("files", item.files), ("config", item.config)):
        pairs = [f"{toml_key(k)} = {toml_value(v)}" for k, v in _in_source(paths).items()]
        parts += [[f"[{head}.{key}]", *pairs]] if pairs else []
    for kind, names in item.own_depends.items():
        parts.append([f"[{head}.{kind}]", f"depends = {toml_value(names)}"])
    if item.missing:
        lines.insert(0, f"# Without {', '.join(item.missing)}: nothing here makes it.")
    whole = [line for part in parts for line in ("", *part)][1:]
    return list(_commented(whole, item.left_out)) if item.left_out else whole


def _in_source(paths: Mapping[str, str]) -> dict[str, str]:
    return {name: f"${{source}}/{path}" for name, path in paths.items()}


def _variants(findings: Findings) -> Iterator[list[str]]:
    if findings.args:
        lines = [f"{name} = {toml_value(value)}" for name, value in findings.args.items()]
        yield ["# For the ARGs of the Dockerfiles.", "[args]", *lines]
    for number, (name, args) in enumerate(findings.variants.items()):
        suffix = [] if number else ['suffix = ""']
        yield [f"[variants.{toml_key(name)}]", *suffix, f"args = {toml_value(args)}"]


def _image(item: Image) -> list[str]:
    lines = [
        f"[images.{toml_key(item.name)}]",
        f"dockerfile = {toml_value('${source}/' + item.dockerfile)}",
    ]
    if item.files:
        lines.append(f"files = {toml_value(_in_source(item.files))}")
    if item.args:
        lines.append(f"args = {toml_value(item.args)}")
    if not item.variants:
        lines.append("variants = false")
    return list(_commented(lines, item.left_out)) if item.left_out else lines


def _undecided(sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield "# Not decided:"
    for sentence in sentences:
        yield f"# - {sentence}"
