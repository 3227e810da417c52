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
    env: tuple[tuple[str, str], ...] = ()
    """The variables that its ENV and what it starts from have set at its end."""

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


def stages_of(
    dockerfile: Dockerfile,
    args: Mapping[str, str],
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[Stage, ...]:
    """Return the stages of a Dockerfile, variables put in.

    Args:
        dockerfile: parsed.
        args: build arguments, those of :func:`platform_args` included.
        environments: the variables that an image to start from brings, by its name.

    Raises:
        ConfigError: a malformed FROM, COPY or substitution, an instruction before
            FROM other than ARG, or a ``--from`` that names this or a later stage.
    """
    scope = global_arguments(dockerfile, args)
    chunks: list[list[Instruction]] = []
    for item in dockerfile.instructions:
        if item.name == "FROM":
            chunks.append([item])
        elif chunks:
            chunks[-1].append(item)
        elif item.name != "ARG":
            raise dockerfile.error(item.line, f"{item.name} comes before the first FROM")
    stages: list[Stage] = []
    for chunk in chunks:
        frame = _Frame(
            dockerfile=dockerfile,
            scope=scope,
            args=args,
            earlier=tuple(stages),
            environments=environments or {},
        )
        stages.append(_stage(frame, chunk))
    return tuple(stages)


def global_arguments(dockerfile: Dockerfile, args: Mapping[str, str]) -> dict[str, str]:
    """Return the build arguments and the values of ARGs before the first FROM.

    Raises:
        ConfigError: a substitution in one is malformed.
    """
    scope = dict(args)
    for item in dockerfile.instructions:
        if item.name == "FROM":
            break
        if item.name == "ARG":
            scope |= arg_values(dockerfile, item, scope, args)
    return scope


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What a stage stands in: values before the first FROM, given ones, the stages above."""

    dockerfile: Dockerfile
    scope: Mapping[str, str]
    args: Mapping[str, str]
    earlier: tuple[Stage, ...]
    environments: Mapping[str, Mapping[str, str]]

    def env_of(self, base: int | str) -> dict[str, str]:
        """Return the variables that a base brings."""
        if isinstance(base, int):
            return dict(self.earlier[base].env)
        return dict(self.environments.get(base, {}))


def _stage(frame: _Frame, chunk: list[Instruction]) -> Stage:
    dockerfile, scope = frame.dockerfile, frame.scope
    start, body = chunk[0], chunk[1:]
    match = _FROM.fullmatch(start.value)
    if not match:
        raise dockerfile.error(
            start.line, "FROM has another form", resolution="Write FROM image [AS name]."
        )
    name = (match[2] or "").lower()
    if name and not _STAGE_NAME.fullmatch(name):
        raise dockerfile.error(start.line, f"'{match[2]}' is not a valid stage name")
    named = expand_word(dockerfile, start, match[1], scope)
    if not named:
        raise dockerfile.error(
            start.line,
            f"the base name {match[1]} is empty",
            resolution="Give its ARG a default above the first FROM.",
        )
    base = _stage_number(named, frame.earlier, numbers=False)
    copies, env = _copies(frame, body, frame.env_of(base))
    return Stage(
        index=len(frame.earlier),
        name=name,
        start=start,
        base=base,
        platform=expand_word(dockerfile, start, start.flag("platform") or "", scope),
        instructions=tuple(body),
        copies=copies,
        env=tuple(env.items()),
    )


def _copies(
    frame: _Frame, body: list[Instruction], env: dict[str, str]
) -> tuple[tuple[Copy, ...], dict[str, str]]:
    # ENV wins over ARG, wherever the two stand.
    dockerfile = frame.dockerfile
    declared: dict[str, str] = {}
    copies = []
    for item in body:
        variables = {**declared, **env}
        match item.name:
            case "ARG":
                declared |= arg_values(dockerfile, item, variables, frame.args, frame.scope)
            case "ENV":
                env |= _env_values(dockerfile, item, variables)
            case "COPY" | "ADD":
                copies.append(_copy(dockerfile, item, variables, frame.earlier))
    return tuple(copies), env


def _copy(
    dockerfile: Dockerfile,
    item: Instruction,
    variables: Mapping[str, str],
    earlier: tuple[Stage, ...],
) -> Copy:
    raw = item.words if item.json_form else tuple(item.value.split())
    words = tuple(expand_word(dockerfile, item, word, variables) for word in raw)
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
        number = _stage_number(expand_word(dockerfile, item, origin, variables), earlier)
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


def arg_values(
    dockerfile: Dockerfile,
    item: Instruction,
    variables: Mapping[str, str],
    args: Mapping[str, str],
    scope: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the values that an ARG declares: given, its default, or that before FROM.

    Raises:
        ConfigError: a substitution in it is malformed.
    """
    values: dict[str, str] = {}
    for word in split_words(item.value, escape=dockerfile.escape):
        name, equals, default = word.partition("=")
        if name in args:
            values[name] = args[name]
        elif equals:
            values[name] = expand_word(dockerfile, item, default, {**variables, **values})
        elif scope is not None and name in scope:
            values[name] = scope[name]
    return values


def _env_values(
    dockerfile: Dockerfile, item: Instruction, variables: Mapping[str, str]
) -> dict[str, str]:
    if "=" not in item.words[0]:
        name, _, value = item.value.partition(" ")
        return {name: expand_word(dockerfile, item, value.strip(), variables)}
    pairs = (word.partition("=") for word in item.words)
    return {name: expand_word(dockerfile, item, value, variables) for name, _, value in pairs}


def expand_word(
    dockerfile: Dockerfile, item: Instruction, word: str, variables: Mapping[str, str]
) -> str:
    """Put variables into a word of an instruction.

    Raises:
        ConfigError: quotes, braces or a substitution are malformed; it names the line.
    """
    try:
        return expand(word, variables, escape=dockerfile.escape)
    except WordError as error:
        raise dockerfile.error(item.line, str(error)) from error
