from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.errors import ConfigError
from buildkit.images.dockerfile import parse
from buildkit.images.stages import (
    Stage,
    platform_args,
    reachable,
    stages_of,
)
from buildkit.platform import Platform

ARM = platform_args(Platform.parse("linux/arm64"), Platform.parse("linux/amd64"))


def stages(text: str, args: dict[str, str] | None = None) -> tuple[Stage, ...]:
    return stages_of(parse(text), ARM if args is None else args)


def test_stages_are_named_and_numbered() -> None:
    first, second = stages("FROM a AS Build\nFROM build\nCOPY --from=BUILD x /y\n")
    assert (first.name, first.base, first.index) == ("build", "a", 0)
    assert (second.name, second.base) == ("", 0)
    assert second.copies[0].origin == 0


def test_only_what_the_last_stage_is_made_from_is_reachable() -> None:
    found = stages(
        "FROM a AS one\nFROM b AS unused\nFROM c AS two\nCOPY --from=one x /\n"
        "FROM unused AS other\nFROM scratch\nCOPY --from=2 y /\n"
    )
    assert [stage.index for stage in reachable(found)] == [0, 2, 4]


def test_global_arguments_reach_from_and_stages_that_name_them() -> None:
    (stage,) = stages(
        "ARG V=1\nFROM base:${V}\nCOPY a$V /\nARG V\nCOPY b$V /\nARG V=2\nCOPY c$V /\n"
    )
    assert stage.base == "base:1"
    assert [copy.sources for copy in stage.copies] == [("a",), ("b1",), ("c2",)]


def test_a_predefined_argument_gives_way_to_a_default() -> None:
    (stage,) = stages("ARG V=1\nFROM base:$V\nARG V=2\nCOPY a$V /\n", {"V": "9"})
    assert stage.base == "base:1"
    assert stage.copies[0].sources == ("a2",)


def test_the_later_of_arguments_and_environment_wins() -> None:
    (stage,) = stages("FROM x\nENV A=1\nARG A=2\nCOPY a$A /\nENV A=3\nCOPY a$A /\n")
    assert [copy.sources for copy in stage.copies] == [("a2",), ("a3",)]


def test_a_stage_has_the_variables_of_the_one_it_starts_from() -> None:
    stage = stages("FROM x AS a\nARG A=1\nENV B=2\nFROM a\nCOPY $A$B /\n")[-1]
    assert stage.copies[0].sources == ("12",)


def test_variables_of_an_image_are_asked_for_where_a_stage_uses_any() -> None:
    asked: list[tuple[str, str]] = []

    def environment(name: str, platform: str) -> dict[str, str]:
        asked.append((name, platform))
        return {"DIR": "of-" + name}

    text = (
        "FROM unused AS u\nCOPY $A /\nFROM plain AS p\nCOPY a /\nFROM --platform=linux/arm64 used\n"
        "COPY --from=p /a /\nCOPY $DIR /\n"
    )
    found = stages_of(parse(text), ARM, environment)
    assert asked == [("used", "linux/arm64")]
    assert found[-1].copies[1].sources == ("of-used",)
    assert found[0].copies == ()


def test_environment_counts_from_the_next_instruction() -> None:
    (stage,) = stages(
        'FROM x\nARG A=1\nENV A=2 B="$A c"\nENV OLD form value\nCOPY ["$A", "$B", "$OLD", "/"]\n'
    )
    assert stage.copies[0].sources == ("2", "1 c", "form value")


def test_the_platform_is_predefined_in_from_and_declared_in_a_stage() -> None:
    (stage,) = stages(
        "FROM --platform=$BUILDPLATFORM x-$TARGETARCH\nARG TARGETOS\nCOPY $TARGETOS /\n"
    )
    assert (stage.base, stage.platform) == ("x-arm64", "linux/amd64")
    assert stage.copies[0].sources == ("linux",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("RUN x\nFROM y\n", "line 1: RUN comes before the first FROM"),
        ("FROM ${MISSING}\n", "line 1: the base name .* is empty"),
        ("FROM a b\n", "line 1: FROM has another form"),
        ("FROM a AS 1x\n", "line 1: '1x' is not a valid stage name"),
        ("FROM a\nCOPY x\n", "line 2: COPY needs a source and a target"),
        ("FROM a\nCOPY $X /\n", "line 2: COPY needs a source and a target"),
        ("FROM a\nCOPY --from=0 x /\n", "line 2: --from names no earlier stage"),
        ("FROM a\nCOPY --from= x /\n", "line 2: --from names no earlier stage"),
        ("FROM a AS me\nCOPY --from=ME x /\n", "line 2: --from names no earlier stage"),
        ("FROM a AS b\nFROM a\nCOPY --from=$B x /\n", "line 3: --from takes no variable"),
        ("FROM a\nENV A=1 B\n", "line 2: B is no name=value"),
        ("FROM a\nARG =1\n", "line 2: a name is empty"),
        ("FROM a\nCOPY 'x /\n", "line 2: a single quote is not closed"),
    ],
)
def test_what_makes_no_sense_is_an_error_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        stages(text)


LINES = st.sampled_from(
    [
        "FROM a AS s",
        "FROM $X",
        "FROM s",
        "ARG X",
        "ARG X=1",
        "ENV X",
        "ENV X=$X",
        "ENV []",
        "COPY a b",
        "COPY --from=s a b",
        "COPY --from=9 a b",
        'COPY ["a"]',
        "COPY []",
        "ONBUILD []",
        "ADD $X",
        "RUN x",
        "COPY <<E /x",
        "E",
        "USER ${X",
        "ARG '",
    ]
)


@given(st.lists(LINES, max_size=12))
def test_any_dockerfile_gives_stages_or_a_config_error(lines: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        found = stages("\n".join(lines))
        assert found[-1] in reachable(found)
