"""What the instructions that make no layer do to an image's config, by BuildKit's rules.

The source is ``frontend/dockerfile/dockerfile2llb/convert.go``: ENTRYPOINT takes a
CMD away that came from below, CMD and the shell forms are not expanded, a variable
that is set again keeps its place.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec import Struct, field, structs
from msgspec.structs import replace

from buildkit.errors import BuildkitError
from buildkit.images.dockerfile import Dockerfile, Instruction, json_words
from buildkit.images.stages import expand_word, name_values
from buildkit.oci.config import Healthcheck, RunConfig

DEFAULT_SHELL = ("/bin/sh", "-c")

_PORTS = re.compile(r"([0-9]+)(?:-([0-9]+))?(?:/(tcp|udp|sctp)?)?", re.IGNORECASE)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|m|us|µs|ns|s)")
_NAMES = """
    ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT RTMAX RTMIN
    SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ
"""
_SIGNALS = frozenset(
    [
        *_NAMES.split(),
        *(f"RTMIN+{number}" for number in range(1, 16)),
        *(f"RTMAX-{number}" for number in range(1, 15)),
    ]
)
"""Those of Linux by name, as ``moby/sys/signal`` has them."""
_NANOSECONDS = {
    "h": 3600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "µs": 10**3,
    "ns": 1,
}
_NUMBER = re.compile("[0-9]+")
_SHORTEST = 1_000_000
_LAST_PORT = 65535


class Running(Struct, frozen=True, kw_only=True):
    """A stage's config so far, and whether a CMD of this stage is in it.

    ``variables`` is what ``$NAME`` means now: ARG sets it as ENV does.
    """

    config: RunConfig
    has_cmd: bool = False
    author: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


def apply_instruction(state: Running, item: Instruction, dockerfile: Dockerfile) -> Running:
    """Return the state after an instruction that only changes the config.

    Raises:
        ConfigError: its argument is malformed; the message names the line.
    """
    return _RULES[item.name](state, item, _Reader(dockerfile, item, state.variables))


def working_directory(config: RunConfig, path: str) -> str:
    """Return where a path leads from the working directory, absolute and normal."""
    return posixpath.normpath(posixpath.join("/", config.working_dir, path))


class _Reader(Struct, frozen=True):
    dockerfile: Dockerfile
    item: Instruction
    variables: Mapping[str, str]

    def expand(self, word: str) -> str:
        return expand_word(self.dockerfile, self.item, word, self.variables)

    def error(self, problem: str) -> BuildkitError:
        return self.dockerfile.error(self.item.line, problem)

    def pairs(self) -> dict[str, str]:
        return name_values(self.dockerfile, self.item, self.variables)


def _set(state: Running, **values: object) -> Running:
    return replace(state, config=structs.replace(state.config, **values))


def _env(state: Running, _item: Instruction, reader: _Reader) -> Running:
    pairs = reader.pairs()
    env = {**state.config.environment, **pairs}
    changed = replace(state, variables={**state.variables, **pairs})
    return _set(changed, env=tuple(f"{name}={value}" for name, value in env.items()))


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
    for word in item.value.split():
        for text in reader.expand(word).split():
            match = _PORTS.fullmatch(text)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not match or not first <= last <= _LAST_PORT:
                raise reader.error(f"{text} is no port or range of ports")
            protocol = (match[3] or "tcp").lower()
            ports |= {f"{port}/{protocol}": {} for port in range(first, last + 1)}
    return _set(state, exposed_ports={**(state.config.exposed_ports or {}), **ports})


def _volume(state: Running, item: Instruction, reader: _Reader) -> Running:
    words = item.words if item.json_form else item.value.split()
    paths = [reader.expand(word).strip() for word in words]
    if not all(paths):
        raise reader.error("a volume's path is empty")
    return _set(state, volumes={**(state.config.volumes or {}), **{path: {} for path in paths}})


def _stopsignal(state: Running, item: Instruction, reader: _Reader) -> Running:
    signal = reader.expand(item.value)
    known = signal.upper().removeprefix("SIG") in _SIGNALS
    if not known and not (_NUMBER.fullmatch(signal) and int(signal)):
        raise reader.error(f"{signal} is no signal")
    return _set(state, stop_signal=signal)


def _healthcheck(state: Running, item: Instruction, reader: _Reader) -> Running:
    form, *rest = item.value.split(maxsplit=1)
    if form.upper() == "NONE":
        if rest:
            raise reader.error("HEALTHCHECK NONE takes no arguments")
        return _set(state, healthcheck=Healthcheck(test=("NONE",)))
    retries = item.flag("retries") or "0"
    if not _NUMBER.fullmatch(retries):
        raise reader.error(f"--retries={retries} is no number")
    check = Healthcheck(
        test=_test(reader, form, "".join(rest)),
        interval=_duration(reader, "interval"),
        timeout=_duration(reader, "timeout"),
        start_period=_duration(reader, "start-period"),
        start_interval=_duration(reader, "start-interval"),
        retries=int(retries),
    )
    return _set(state, healthcheck=check)


def _test(reader: _Reader, form: str, command: str) -> tuple[str, ...]:
    try:
        words = json_words(command)
    except TypeError as error:
        raise reader.error(str(error)) from error
    if form.upper() != "CMD" or not command or words == ():
        raise reader.error("HEALTHCHECK is NONE or CMD with a command")
    return ("CMD-SHELL", command) if words is None else ("CMD", *words)


def _duration(reader: _Reader, flag: str) -> int:
    text = reader.item.flag(flag)
    if not text or text == "0":
        return 0
    parts = _DURATION.findall(text)
    total = int(sum(Decimal(number) * _NANOSECONDS[unit] for number, unit in parts))
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
