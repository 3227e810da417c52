"""What the instructions that make no layer do to an image's config, by BuildKit's rules.

The source is ``frontend/dockerfile/dockerfile2llb/convert.go``: ENTRYPOINT takes a
CMD away that came from below, CMD and the shell forms are not expanded, a variable
that is set again keeps its place.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from msgspec import structs

from buildkit.errors import BuildkitError
from buildkit.images.dockerfile import Dockerfile, Instruction, json_words
from buildkit.images.stages import expand_word
from buildkit.images.words import split_words
from buildkit.oci.config import Healthcheck, RunConfig

DEFAULT_SHELL = ("/bin/sh", "-c")

_PORTS = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_SIGNAL = re.compile(r"\d+|(?:SIG)?[A-Z][A-Z0-9+-]*", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|us|µs|ns|s)")
_NANOSECONDS = {
    "h": 3600e9,
    "m": 60e9,
    "s": 1e9,
    "ms": 1e6,
    "us": 1e3,
    "µs": 1e3,
    "ns": 1.0,
}
_SHORTEST = 1_000_000
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A stage's config so far, and whether a CMD of this stage is in it."""

    config: RunConfig
    has_cmd: bool = False
    author: str = ""
    declared: Mapping[str, str] = field(default_factory=dict)
    """Values of the stage's ARGs."""

    @property
    def variables(self) -> dict[str, str]:
        """What ``$NAME`` means now: ENV wins over ARG."""
        return {**self.declared, **self.config.environment}


def apply_instruction(state: Running, item: Instruction, dockerfile: Dockerfile) -> Running:
    """Return the state after an instruction that only changes the config.

    Raises:
        ConfigError: its argument is malformed; the message names the line.
    """
    return _RULES[item.name](state, item, _Reader(dockerfile, item, state.variables))


def working_directory(config: RunConfig, path: str) -> str:
    """Return where a path leads from the working directory, absolute and normal."""
    return posixpath.normpath(posixpath.join("/", config.working_dir, path))


@dataclass(frozen=True, slots=True)
class _Reader:
    dockerfile: Dockerfile
    item: Instruction
    variables: Mapping[str, str]

    def expand(self, word: str) -> str:
        return expand_word(self.dockerfile, self.item, word, self.variables)

    def error(self, problem: str) -> BuildkitError:
        return self.dockerfile.error(self.item.line, problem)

    def pairs(self) -> dict[str, str]:
        """Read ``name=value ...``, or the old form ``name value``."""
        if "=" not in self.item.words[0]:
            name, _, value = self.item.value.partition(" ")
            return {self.expand(name): self.expand(value.strip())}
        words = split_words(self.item.value, escape=self.dockerfile.escape)
        found = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise self.error(f"{word} is no name=value")
            found[self.expand(name)] = self.expand(value)
        return found


def _set(state: Running, **values: object) -> Running:
    return replace(state, config=structs.replace(state.config, **values))


def _env(state: Running, _item: Instruction, reader: _Reader) -> Running:
    env = {**state.config.environment, **reader.pairs()}
    return _set(state, env=tuple(f"{name}={value}" for name, value in env.items()))


def _label(state: Running, _item: Instruction, reader: _Reader) -> Running:
    return _set(state, labels={**(state.config.labels or {}), **reader.pairs()})


def _user(state: Running, item: Instruction, reader: _Reader) -> Running:
    return _set(state, user=reader.expand(item.value))


def _workdir(state: Running, item: Instruction, reader: _Reader) -> Running:
    path = reader.expand(item.value)
    return _set(state, working_dir=working_directory(state.config, path))


def _command(state: Running, item: Instruction) -> tuple[str, ...]:
    return item.words if item.json_form else (*(state.config.shell or DEFAULT_SHELL), item.value)


def _cmd(state: Running, item: Instruction, _reader: _Reader) -> Running:
    return replace(_set(state, cmd=_command(state, item)), has_cmd=True)


def _entrypoint(state: Running, item: Instruction, _reader: _Reader) -> Running:
    cmd = state.config.cmd if state.has_cmd else None
    return _set(state, entrypoint=_command(state, item), cmd=cmd)


def _shell(state: Running, item: Instruction, reader: _Reader) -> Running:
    if not item.json_form or not item.words:
        raise reader.error("SHELL takes the JSON form")
    return _set(state, shell=item.words)


def _expose(state: Running, item: Instruction, reader: _Reader) -> Running:
    ports: dict[str, dict[str, str]] = {}
    for word in item.words:
        for text in reader.expand(word).split():
            match = _PORTS.fullmatch(text)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not match or not first <= last <= _LAST_PORT:
                raise reader.error(f"{text} is no port or range of ports")
            protocol = (match[3] or "tcp").lower()
            ports |= {f"{port}/{protocol}": {} for port in range(first, last + 1)}
    return _set(state, exposed_ports={**(state.config.exposed_ports or {}), **ports})


def _volume(state: Running, item: Instruction, reader: _Reader) -> Running:
    paths = [reader.expand(word).strip() for word in item.words]
    if not all(paths):
        raise reader.error("a volume's path is empty")
    return _set(state, volumes={**(state.config.volumes or {}), **{path: {} for path in paths}})


def _stopsignal(state: Running, item: Instruction, reader: _Reader) -> Running:
    signal = reader.expand(item.value)
    if not _SIGNAL.fullmatch(signal):
        raise reader.error(f"{signal} is no signal")
    return _set(state, stop_signal=signal)


def _healthcheck(state: Running, item: Instruction, reader: _Reader) -> Running:
    form, _, rest = item.value.partition(" ")
    match form.upper():
        case "NONE":
            return _set(state, healthcheck=Healthcheck(test=("NONE",)))
        case "CMD" if rest.strip():
            words = json_words(rest.strip())
        case _:
            raise reader.error("HEALTHCHECK is NONE or CMD with a command")
    retries = item.flag("retries") or "0"
    if not retries.isdecimal():
        raise reader.error(f"--retries={retries} is no number")
    check = Healthcheck(
        test=("CMD-SHELL", rest.strip()) if words is None else ("CMD", *words),
        interval=_duration(reader, "interval"),
        timeout=_duration(reader, "timeout"),
        start_period=_duration(reader, "start-period"),
        start_interval=_duration(reader, "start-interval"),
        retries=int(retries),
    )
    return _set(state, healthcheck=check)


def _duration(reader: _Reader, flag: str) -> int:
    text = reader.item.flag(flag)
    if text is None or text == "0":
        return 0
    parts = _DURATION.findall(text)
    total = int(sum(float(number) * _NANOSECONDS[unit] for number, unit in parts))
    if "".join(number + unit for number, unit in parts) != text or 0 < total < _SHORTEST:
        raise reader.error(f"--{flag}={text} is no time of at least 1ms, such as 1m30s")
    return total


def _maintainer(state: Running, item: Instruction, _reader: _Reader) -> Running:
    return replace(state, author=item.value)


_RULES: dict[str, Callable[[Running, Instruction, _Reader], Running]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
