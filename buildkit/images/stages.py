"""Stages of a Dockerfile: what they start from, what they copy, which ones count.

Variables follow BuildKit: ARG before the first FROM is global and reaches a
stage only by an ARG of the same name there; ENV wins over ARG; the values of
one instruction are those before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from buildkit.images.dockerfile import Dockerfile, Instruction
from buildkit.images.words import WordError, expand, split_words
from buildkit.platform import Platform

_FROM = re.compile(r"(\S+)(?:\s+as\s+(\S+))?", re.IGNORECASE)
_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_REMOTE = re.compile(r"(?:https?|git|ssh|s3)://|git@")
_OLD_FORM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A COPY or ADD with its variables put in.

    ``origin`` is the earlier stage's number, or the image's name, that
    ``--from`` names, or None for the build context.
    """

    instruction: Instruction
    sources: tuple[str, ...]
    target: str
    origin: int | str | None = None

    @property
    def is_remote(self) -> bool:
        """Whether a source is fetched from the network (ADD only)."""
        add = self.instruction.name == "ADD"
        return add and any(_REMOTE.match(source) for source in self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage; ``base`` is an earlier stage's number or an image's name."""

    index: int
    name: str
    start: Instruction
    base: int | str
    platform: str
    instructions: tuple[Instruction, ...]
    copies: tuple[Copy, ...]

    @property
    def needs(self) -> frozenset[int]:
        """The earlier stages this one is made from."""
        origins = {copy.origin for copy in self.copies} | {self.base}
        return frozenset(item for item in origins if isinstance(item, int))


def platform_args(platform: Platform, host: Platform | None = None) -> dict[str, str]:
    """Return the build arguments that BuildKit predefines for a target platform."""
    build = host or platform
    return {
        "TARGETPLATFORM": str(platform),
        "TARGETOS": platform.os,
        "TARGETARCH": platform.arch,
        "TARGETVARIANT": platform.variant,
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.os,
        "BUILDARCH": build.arch,
        "BUILDVARIANT": build.variant,
    }


def stages_of(dockerfile: Dockerfile, args: Mapping[str, str]) -> tuple[Stage, ...]:
    """Return the stages of a Dockerfile, variables put in.

    Args:
        dockerfile: parsed.
        args: build arguments, those of :func:`platform_args` included.

    Raises:
        ConfigError: a malformed FROM, COPY or substitution, an instruction before
            FROM other than ARG, or a ``--from`` that names this or a later stage.
    """
    scope = dict(args)
    chunks: list[list[Instruction]] = []
    for item in dockerfile.instructions:
        if item.name == "FROM":
            chunks.append([item])
        elif chunks:
            chunks[-1].append(item)
        elif item.name == "ARG":
            scope |= _arg_values(dockerfile, item, scope, args)
        else:
            raise dockerfile.error(item.line, f"{item.name} comes before the first FROM")
    stages: list[Stage] = []
    for chunk in chunks:
        stages.append(_stage(dockerfile, chunk, scope, args, tuple(stages)))
    return tuple(stages)


def reachable(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Return the stages that the last one is made from, in order, itself included."""
    wanted: set[int] = set()
    queue = [stages[-1].index]
    while queue:
        index = queue.pop()
        if index not in wanted:
            wanted.add(index)
            queue.extend(stages[index].needs)
    return tuple(stage for stage in stages if stage.index in wanted)


def daemon_instructions(stages: tuple[Stage, ...]) -> tuple[Instruction, ...]:
    """Return what only a builder that runs processes or fetches can do: RUN, ADD of a URL."""
    found = [
        item
        for stage in stages
        for item in stage.instructions
        if item.name == "RUN" or (item.name == "ONBUILD" and item.words[0].upper() == "RUN")
    ]
    found += [copy.instruction for stage in stages for copy in stage.copies if copy.is_remote]
    return tuple(sorted(found, key=lambda item: item.line))


def _stage(
    dockerfile: Dockerfile,
    chunk: list[Instruction],
    scope: Mapping[str, str],
    args: Mapping[str, str],
    earlier: tuple[Stage, ...],
) -> Stage:
    start, body = chunk[0], chunk[1:]
    match = _FROM.fullmatch(start.value)
    if not match:
        raise dockerfile.error(
            start.line, "FROM has another form", resolution="Write FROM image [AS name]."
        )
    name = (match[2] or "").lower()
    if name and not _STAGE_NAME.fullmatch(name):
        raise dockerfile.error(start.line, f"'{match[2]}' is not a valid stage name")
    base = _expand(dockerfile, start, match[1], scope)
    if not base:
        raise dockerfile.error(
            start.line,
            f"the base name {match[1]} is empty",
            resolution="Give its ARG a default above the first FROM.",
        )
    return Stage(
        index=len(earlier),
        name=name,
        start=start,
        base=_stage_number(base, earlier, numbers=False),
        platform=_expand(dockerfile, start, start.flag("platform") or "", scope),
        instructions=tuple(body),
        copies=_copies(dockerfile, body, scope, args, earlier),
    )


def _copies(
    dockerfile: Dockerfile,
    body: list[Instruction],
    scope: Mapping[str, str],
    args: Mapping[str, str],
    earlier: tuple[Stage, ...],
) -> tuple[Copy, ...]:
    # ENV wins over ARG, wherever the two stand.
    declared: dict[str, str] = {}
    env: dict[str, str] = {}
    copies = []
    for item in body:
        variables = {**declared, **env}
        match item.name:
            case "ARG":
                declared |= _arg_values(dockerfile, item, variables, args, scope)
            case "ENV":
                env |= _env_values(dockerfile, item, variables)
            case "COPY" | "ADD":
                copies.append(_copy(dockerfile, item, variables, earlier))
    return tuple(copies)


def _copy(
    dockerfile: Dockerfile,
    item: Instruction,
    variables: Mapping[str, str],
    earlier: tuple[Stage, ...],
) -> Copy:
    raw = item.words if item.json_form else tuple(item.value.split())
    words = tuple(_expand(dockerfile, item, word, variables) for word in raw)
    minimum = 1 if item.heredocs else _OLD_FORM
    if len(words) < minimum or not all(words):
        raise dockerfile.error(
            item.line,
            f"{item.name} needs a source and a target",
            resolution="A variable in it may be empty: declare it with ARG in this stage.",
        )
    origin = item.flag("from")
    number: int | str | None = None
    if origin is not None:
        number = _stage_number(_expand(dockerfile, item, origin, variables), earlier)
    if number == str(len(earlier)) or number == "":
        raise dockerfile.error(item.line, "--from names no earlier stage")
    return Copy(instruction=item, sources=words[:-1], target=words[-1], origin=number)


def _stage_number(name: str, earlier: tuple[Stage, ...], *, numbers: bool = True) -> int | str:
    if numbers and name.isdecimal() and int(name) < len(earlier):
        return int(name)
    for stage in reversed(earlier):
        if stage.name and stage.name == name.lower():
            return stage.index
    return name


def _arg_values(
    dockerfile: Dockerfile,
    item: Instruction,
    variables: Mapping[str, str],
    args: Mapping[str, str],
    scope: Mapping[str, str] | None = None,
) -> dict[str, str]:
    values: dict[str, str] = {}
    for word in split_words(item.value, escape=dockerfile.escape):
        name, equals, default = word.partition("=")
        if name in args:
            values[name] = args[name]
        elif equals:
            values[name] = _expand(dockerfile, item, default, {**variables, **values})
        elif scope is not None and name in scope:
            values[name] = scope[name]
    return values


def _env_values(
    dockerfile: Dockerfile, item: Instruction, variables: Mapping[str, str]
) -> dict[str, str]:
    if "=" not in item.words[0]:
        name, _, value = item.value.partition(" ")
        return {name: _expand(dockerfile, item, value.strip(), variables)}
    pairs = (word.partition("=") for word in item.words)
    return {name: _expand(dockerfile, item, value, variables) for name, _, value in pairs}


def _expand(
    dockerfile: Dockerfile, item: Instruction, word: str, variables: Mapping[str, str]
) -> str:
    try:
        return expand(word, variables, escape=dockerfile.escape)
    except WordError as error:
        raise dockerfile.error(item.line, str(error)) from error
