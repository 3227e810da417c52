"""What is known of a Dockerfile before it is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import ConfigError
from buildkit.images.dockerfile import parse
from buildkit.images.outline import Outlines, outline_of
from buildkit.plan.outline import Outline
from buildkit.platform import Platform

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
CHOICE = """\
ARG DISTRIBUTION=debug
ARG VERSION=latest
ARG REGISTRY=example.com/release
FROM ${REGISTRY}/base:${VERSION} AS debug
FROM ${REGISTRY}/static:${VERSION} AS distroless
FROM ${DISTRIBUTION:-debug}
ARG TARGETARCH
ARG proxy_version
COPY ${TARGETARCH:-amd64}/agent conf.json /usr/local/bin/
COPY --from=example.com/tools:1 /t /t
ENV SHA=$proxy_version
"""


def outline(text: str, platform: Platform = AMD, **args: str) -> Outline:
    return outline_of(parse(text, origin="Dockerfile"), args, platform)


def starts(found: Outline) -> list[str]:
    return [start.name for start in found.starts]


def test_an_argument_chooses_the_stage_and_so_the_base() -> None:
    assert starts(outline(CHOICE)) == ["example.com/release/base:latest", "example.com/tools:1"]
    chosen = outline(CHOICE, DISTRIBUTION="distroless", VERSION="1.30", REGISTRY="r.test")
    assert starts(chosen) == ["r.test/static:1.30", "example.com/tools:1"]
    assert chosen.base.name == "r.test/static:1.30"


def test_copied_names_have_the_platform_put_in_and_their_line() -> None:
    found = outline(CHOICE, ARM)
    assert [copied.path for copied in found.copied] == ["arm64/agent", "conf.json"]
    assert found.copied[0].line.number == 9
    assert found.copied[0].line.text == CHOICE.split("\n")[8]


def test_what_is_given_and_reaches_no_stage_makes_no_difference() -> None:
    same = outline(CHOICE, VERSION="latest", UNKNOWN="1")
    assert same == outline(CHOICE)
    assert outline(CHOICE, proxy_version="9").args == (("proxy_version", "9"),)
    assert outline(CHOICE).declared >= {"DISTRIBUTION", "TARGETARCH", "proxy_version"}


def test_a_given_argument_wins_over_a_default_in_a_stage() -> None:
    text = "FROM scratch\nARG NAME=a\nCOPY $NAME /\n"
    assert outline(text, NAME="b").copied[0].path == "b"


def test_the_base_is_what_lies_below_all_stages() -> None:
    text = "FROM one AS a\nFROM a AS b\nUSER 1\nFROM --platform=linux/arm64 two AS c\nFROM b\n"
    found = outline(text + "COPY --from=c x /\n")
    assert found.base.name == "one"
    assert [(start.name, str(start.platform)) for start in found.starts] == [
        ("one", "linux/amd64"),
        ("two", "linux/arm64"),
    ]


def test_what_is_not_of_the_context_is_not_copied() -> None:
    text = "FROM scratch AS a\nADD https://example.com/x /\nCOPY <<E /t\nx\nE\n"
    assert outline(f"{text}FROM scratch\nCOPY --from=a /x /\n").copied == ()


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM a\n")
    outlines = Outlines()
    outlines.read(path, {}, AMD)
    path.write_text("FROM b\n")
    assert outlines.read(path, {}, ARM).base.name == "a"


def test_a_stage_that_is_named_is_the_image(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM a AS One\nCOPY x /\nFROM b AS two\nCOPY y /\n")
    outlines = Outlines()
    assert [item.path for item in outlines.read(path, {}, AMD, "one").copied] == ["x"]
    assert outlines.read(path, {}, AMD, "two").base.name == "b"
    assert outlines.read(path, {}, AMD).base.name == "b"
    with pytest.raises(ConfigError, match="Dockerfile has no stage 'three'") as caught:
        outlines.read(path, {}, AMD, "three")
    assert caught.value.details == "Its stages are one, two."


def test_a_mistake_is_told_by_line(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM a\nCOPPY b /\n")
    with pytest.raises(ConfigError, match="Dockerfile, line 2: unknown instruction 'COPPY'"):
        Outlines().read(path, {}, AMD)


def test_a_line_is_named_by_the_shortest_path_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "Dockerfile").write_text("FROM base:1\n")
    outline = Outlines().read(tmp_path / "here" / ".." / "Dockerfile", {}, AMD)
    assert outline.base.line.file == str(tmp_path / "Dockerfile")
