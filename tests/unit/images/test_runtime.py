"""What the table of Dockerfiles does not say of instructions that change the config alone."""

from __future__ import annotations

import pytest

from buildkit.errors import ConfigError
from buildkit.images.dockerfile import parse
from buildkit.images.runtime import Running, apply_instruction
from buildkit.oci.config import Healthcheck, RunConfig


def run(*lines: str, config: RunConfig | None = None) -> Running:
    dockerfile = parse("\n".join(("FROM x", *lines)), origin="D")
    state = Running(config=config or RunConfig())
    for item in dockerfile.instructions[1:]:
        state = apply_instruction(state, item, dockerfile)
    return state


def test_a_variable_that_is_set_again_keeps_its_place() -> None:
    below = RunConfig(env=("A=1", "B=2"))
    state = run("ENV C=3 A=4", config=below)
    assert state.config.env == ("A=4", "B=2", "C=3")
    assert state.variables == {"A": "4", "C": "3"}


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1s", 10**9),
        ("2.3s", 2_300_000_000),
        (".5m", 30 * 10**9),
        ("5.s", 5 * 10**9),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("1000µs", 10**6),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_times_are_exact(text: str, nanoseconds: int) -> None:
    state = run(f"HEALTHCHECK --interval={text} CMD x")
    assert state.config.healthcheck == Healthcheck(test=("CMD-SHELL", "x"), interval=nanoseconds)


@pytest.mark.parametrize("text", ["1", "s", "1 s", "-1s", "1d", "999999ns", "1s2"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"line 2: --timeout=.* is no time of at least 1ms"):
        run(f"HEALTHCHECK --timeout='{text}' CMD x")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("HEALTHCHECK --retries=-1 CMD x", "--retries=-1 is no number"),
        ("HEALTHCHECK CMD", "HEALTHCHECK is NONE or CMD with a command"),
        ("HEALTHCHECK x", "HEALTHCHECK is NONE or CMD with a command"),
        ("HEALTHCHECK CMD [1]", "the JSON form takes strings alone"),
        ("SHELL []", "SHELL takes the JSON form"),
        ("STOPSIGNAL 0", "0 is no signal"),
        ("STOPSIGNAL SIGRTMIN+16", r"SIGRTMIN\+16 is no signal"),
        ("EXPOSE 65536", "65536 is no port"),
        ("EXPOSE 80/icmp", "80/icmp is no port"),
        ("VOLUME $NONE", "a volume's path is empty"),
        ("LABEL a", "LABEL needs a name and a value"),
        ("LABEL a=1 b", "b is no name=value"),
        ("USER ${x", "unexpected end"),
    ],
)
def test_what_makes_no_sense_is_refused_by_line(line: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"D, line 2: {problem}"):
        run(line)


def test_what_is_below_stays_and_is_not_changed() -> None:
    below = RunConfig(labels={"a": "1"}, volumes={"/v": {}}, exposed_ports={"1/tcp": {}})
    state = run("LABEL b=2", "VOLUME /w", "EXPOSE 2", config=below)
    assert state.config.labels == {"a": "1", "b": "2"}
    assert set(state.config.volumes or ()) == {"/v", "/w"}
    assert set(state.config.exposed_ports or ()) == {"1/tcp", "2/tcp"}
    assert below.labels == {"a": "1"}
