"""Stages of a Dockerfile: what they start from, what they copy, which ones count.

Variables follow BuildKit: ARG before the first FROM is global and reaches a
stage only by an ARG of the same name there, as a predefined argument does; ARG and
ENV set the same variables, the later one wins, and a stage that starts from another
has the variables of both; the values of one instruction are those before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from buildkit.errors import ConfigError
from buildkit.images.dockerfile import Dockerfile, Instruction
from buildkit.images.words import WordError, expand, split_words
from buildkit.platform import Platform

_FROM = re.compile(r"(\S+)(?:\s+as\s+(\S+))?", re.IGNORECASE)
_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_REMOTE = re.compile(r"(?:https?|git|ssh|s3)://|git@")
_OLD_FORM = 2

SCRATCH = "scratch"
PREDEFINED = frozenset(
    side + part for side in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
)
"""The arguments that BuildKit predefines."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

NOTHING: Mapping[str, str] = MappingProxyType({})

FindEnvironment = Callable[[str, str], Mapping[str, str]]
"""Gives the variables of an image by its name, for a platform or, where empty, the target."""


def no_environment(_name: str, _platform: str) -> Mapping[str, str]:
    """Tell of no variables."""
    return {}


class Copy(Struct, frozen=True, kw_only=True):
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


class Stage(Struct, frozen=True, kw_only=True):
    """A stage; ``base`` is an earlier stage's number or an image's name."""

    index: int
    name: str
    start: Instruction
    base: int | str
    platform: str
    instructions: tuple[Instruction, ...]
    origins: tuple[int | str | None, ...] = ()
    """What its ``--from`` flags name."""
    copies: tuple[Copy, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """The variables that ARG, ENV and what it starts from have set at its end."""

    @property
    def needs(self) -> frozenset[int]:
        """The earlier stages this one is made from."""
        return frozenset(item for item in (*self.origins, self.base) if isinstance(item, int))


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
    environment: FindEnvironment = no_environment,
    given: Mapping[str, str] = NOTHING,
) -> tuple[Stage, ...]:
    """Return the stages of a Dockerfile; those that count have their copies, variables put in.

    Args:
        dockerfile: parsed.
        args: the arguments that are predefined, see :func:`platform_args`.
        environment: gives the variables of an image to start from; asked only for
            images of stages that count and use variables.
        given: values of arguments that win over defaults.

    Raises:
        ConfigError: a malformed FROM, COPY or substitution, an instruction before
            FROM other than ARG, or a ``--from`` that names this or a later stage.
    """
    scope = global_arguments(dockerfile, args, given)
    stages: list[Stage] = []
    for start, *body in _chunks(dockerfile):
        stages.append(_stage(dockerfile, scope, tuple(stages), start, tuple(body)))
    wanted = {stage.index for stage in reachable(tuple(stages))}
    for stage in stages:
        if stage.index in wanted:
            frame = _Frame(
                dockerfile=dockerfile,
                scope=scope,
                earlier=tuple(stages[: stage.index]),
                environment=environment,
                given=given,
            )
            stages[stage.index] = _with_copies(frame, stage)
    return tuple(stages)


def _chunks(dockerfile: Dockerfile) -> list[list[Instruction]]:
    chunks: list[list[Instruction]] = []
    for item in dockerfile.instructions:
        if item.name == "FROM":
            chunks.append([item])
        elif chunks:
            chunks[-1].append(item)
        elif item.name != "ARG":
            raise dockerfile.error(item.line, f"{item.name} comes before the first FROM")
    return chunks


def up_to_stage(dockerfile: Dockerfile, target: str) -> str:
    """Return the text of a Dockerfile whose last stage is a named one; empty for its own last.

    Nothing above a stage can need what comes below it.

    Raises:
        ConfigError: there is no such stage.
    """
    starts = [item for item in dockerfile.instructions if item.name == "FROM"]
    matches = (_FROM.fullmatch(item.value) for item in starts)
    names = [(match[2] or "").lower() if match else "" for match in matches]
    if not target:
        return dockerfile.text
    if target.lower() not in names:
        known = ", ".join(filter(None, names)) or "without a name"
        raise ConfigError(
            f"{dockerfile.origin} has no stage '{target}'",
            details=f"Its stages are {known}.",
            resolution="Correct images.<name>.target.",
        )
    below = starts[names.index(target.lower()) + 1 :]
    lines = dockerfile.text.split("\n")
    return "\n".join(lines[: below[0].line - 1] if below else lines)


def global_arguments(
    dockerfile: Dockerfile, args: Mapping[str, str], given: Mapping[str, str] = NOTHING
) -> dict[str, str]:
    """Return the predefined arguments and the values of ARGs before the first FROM.

    Raises:
        ConfigError: a substitution in one is malformed.
    """
    scope = dict(args)
    for item in dockerfile.instructions:
        if item.name == "FROM":
            break
        if item.name == "ARG":
            scope |= arg_values(dockerfile, item, scope, scope, given)
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


class _Frame(Struct, frozen=True, kw_only=True):
    """What a stage stands in: values before the first FROM, the stages above."""

    dockerfile: Dockerfile
    scope: Mapping[str, str]
    earlier: tuple[Stage, ...]
    environment: FindEnvironment
    given: Mapping[str, str]

    def variables(self, stage: Stage) -> dict[str, str]:
        """Return the variables that a stage starts with."""
        if isinstance(stage.base, int):
            return dict(self.earlier[stage.base].variables)
        used = any("$" in item.value for item in stage.instructions)
        known = used and stage.base != SCRATCH
        return with_path(self.environment(stage.base, stage.platform) if known else {})


def with_path(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a base's variables, with the PATH that BuildKit adds where there is none."""
    return {**environment} if "PATH" in environment else {**environment, "PATH": DEFAULT_PATH}


def _stage(
    dockerfile: Dockerfile,
    scope: Mapping[str, str],
    earlier: tuple[Stage, ...],
    start: Instruction,
    body: tuple[Instruction, ...],
) -> Stage:
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
    return Stage(
        index=len(earlier),
        name=name,
        start=start,
        base=_stage_number(named, earlier, numbers=False),
        platform=expand_word(dockerfile, start, start.flag("platform") or "", scope),
        instructions=body,
        origins=tuple(_origin(dockerfile, item, earlier, name) for item in body),
    )


def _with_copies(frame: _Frame, stage: Stage) -> Stage:
    # ARG and ENV set the same variables; the later one wins.
    dockerfile = frame.dockerfile
    variables = frame.variables(stage)
    copies = []
    for item in stage.instructions:
        match item.name:
            case "ARG":
                variables |= arg_values(dockerfile, item, variables, frame.scope, frame.given)
            case "ENV":
                variables |= name_values(dockerfile, item, variables)
            case "COPY" | "ADD":
                copies.append(_copy(frame, stage, item, variables))
    return replace(stage, copies=tuple(copies), variables=tuple(variables.items()))


def _origin(
    dockerfile: Dockerfile, item: Instruction, earlier: tuple[Stage, ...], own: str
) -> int | str | None:
    name = item.flag("from")
    if name is None or item.name != "COPY":
        return None
    if "$" in name:
        raise dockerfile.error(
            item.line,
            "--from takes no variable",
            resolution="Give a stage the name: FROM ${VARIABLE} AS other, then --from=other.",
        )
    found = _stage_number(name, earlier)
    is_own = isinstance(found, str) and found.lower() == own
    if is_own or name in {"", str(len(earlier))}:
        raise dockerfile.error(item.line, "--from names no earlier stage")
    return found


def _copy(frame: _Frame, stage: Stage, item: Instruction, variables: Mapping[str, str]) -> Copy:
    dockerfile = frame.dockerfile
    raw = item.words if item.json_form else tuple(item.value.split())
    words = tuple(expand_word(dockerfile, item, word, variables) for word in raw)
    minimum = 1 if item.heredocs else _OLD_FORM
    if len(words) < minimum or not all(words):
        raise dockerfile.error(
            item.line,
            f"{item.name} needs a source and a target",
            resolution="A variable in it may be empty: declare it with ARG in this stage.",
        )
    origin = _origin(dockerfile, item, frame.earlier, stage.name)
    return Copy(instruction=item, sources=words[:-1], target=words[-1], origin=origin)


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
    scope: Mapping[str, str],
    given: Mapping[str, str] = NOTHING,
) -> dict[str, str]:
    """Return the values that an ARG declares: what is given, its default, or that before FROM.

    Raises:
        ConfigError: a name is empty, or a substitution is malformed.
    """
    values: dict[str, str] = {}
    for word in split_words(item.value, escape=dockerfile.escape):
        name, equals, default = word.partition("=")
        if not name:
            raise dockerfile.error(item.line, "a name is empty")
        if name in given:
            values[name] = given[name]
        elif equals:
            values[name] = expand_word(dockerfile, item, default, {**variables, **values})
        elif name in scope:
            values[name] = scope[name]
    return values


def name_values(
    dockerfile: Dockerfile, item: Instruction, variables: Mapping[str, str]
) -> dict[str, str]:
    """Return the pairs of ENV or LABEL: ``name=value ...``, or the old ``name value``.

    Raises:
        ConfigError: a pair or a substitution is malformed.
    """
    words = split_words(item.value, escape=dockerfile.escape)
    pairs = [word.partition("=") for word in words]
    if not pairs[0][1]:
        old = item.value.split(maxsplit=1)
        if len(old) < _OLD_FORM:
            raise dockerfile.error(item.line, f"{item.name} needs a name and a value")
        pairs = [(old[0], "=", old[1])]
    found: dict[str, str] = {}
    for name, equals, value in pairs:
        if not equals:
            raise dockerfile.error(item.line, f"{name} is no name=value")
        if not name:
            raise dockerfile.error(item.line, "a name is empty")
        key = expand_word(dockerfile, item, name, variables)
        found[key] = expand_word(dockerfile, item, value, variables)
    return found


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
