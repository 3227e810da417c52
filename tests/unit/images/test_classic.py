from __future__ import annotations

import pytest

from buildkit.errors import ConfigError
from buildkit.images.classic import classic_text, refuse_unsupported
from buildkit.images.dockerfile import Dockerfile, parse
from buildkit.images.stages import Stage, platform_args, reachable, stages_of
from buildkit.platform import Platform

ARGS = platform_args(Platform.parse("linux/arm64"))


def prepared(text: str) -> tuple[Dockerfile, tuple[Stage, ...]]:
    dockerfile = parse(text, origin="images/x/Dockerfile.j2")
    return dockerfile, reachable(stages_of(dockerfile, ARGS))


@pytest.mark.parametrize(
    ("line", "words", "advice"),
    [
        ("COPY --chmod=755 a /", "COPY --chmod needs BuildKit", "0755"),
        ("COPY --link a /", "COPY --link needs BuildKit", "Leave it out"),
        ("COPY --parents a /", "COPY --parents needs BuildKit", "one source each"),
        ("ADD --checksum=sha256:1 https://e.x/a /", "ADD --checksum needs BuildKit", "sha256"),
        ("RUN --mount=type=cache,target=/x make", "RUN --mount needs BuildKit", "COPY"),
        ("RUN <<EOF\nmake\nEOF", "here-document needs BuildKit", "&&"),
        ("COPY <<EOF /a\nb\nEOF", "here-document needs BuildKit", "files"),
        ("ADD https://e.x/y.git#v1 /", "git repository needs BuildKit", "before the build"),
        ("COPY --from=nginx:1 a /", "names an image", "FROM nginx:1 AS other"),
        ("COPY --speed=fast a /", "COPY knows no --speed", ""),
        ("USER --speed=fast a", "USER knows no --speed", ""),
        ("ARG TARGETARCH=x\nARG TARGETARCH", "ARG TARGETARCH has a default here", "another name"),
    ],
)
def test_what_only_buildkit_honours_is_refused_by_line(line: str, words: str, advice: str) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_unsupported(*prepared(f"FROM x\nUSER 1\n{line}\n"))
    assert "images/x/Dockerfile.j2, line 3" in caught.value.brief
    assert words in caught.value.brief
    assert advice in caught.value.resolution


def test_what_the_classic_builder_honours_is_left_alone() -> None:
    refuse_unsupported(
        *prepared(
            "# syntax=docker/dockerfile:1\nFROM --platform=linux/arm64 x AS a\n"
            "COPY --chown=1:1 a /\nADD --chown=1 https://e.x/a.tar /\nRUN make\n"
            "HEALTHCHECK --interval=5s CMD x\nFROM a\nCOPY --from=a /x /y\n"
        )
    )


def test_an_unreachable_stage_may_hold_anything() -> None:
    refuse_unsupported(*prepared("FROM x AS unused\nRUN --mount=type=tmpfs x\nFROM y\nUSER 1\n"))


def test_stages_that_are_not_needed_are_emptied_and_lines_keep_their_numbers() -> None:
    dockerfile, stages = prepared(
        "ARG V=1\n# c\nFROM x AS unused\nCOPY nothing \\\n  /\nFROM scratch AS a\nCOPY f /\n"
        "FROM base:$V AS last\nCOPY --from=1 /f /g\n"
    )
    text = classic_text(dockerfile, stages, {1: "local/scratch:arm", 2: "local/base:arm"})
    assert text.split("\n") == [
        "ARG V=1",
        "# c",
        "FROM local/scratch:arm",
        "",
        "",
        "FROM local/scratch:arm AS a",
        "COPY f /",
        "FROM local/base:arm AS last",
        "COPY --from=1 /f /g",
        "",
    ]


def test_a_stage_that_starts_from_a_stage_keeps_its_name() -> None:
    dockerfile, stages = prepared("ARG S=one\nFROM x AS one\nFROM $S \\\n AS two\nUSER 1\n")
    text = classic_text(dockerfile, stages, {0: "local/x:1"})
    assert text.split("\n")[1:4] == ["FROM local/x:1 AS one", "FROM one AS two", ""]


def test_images_that_the_daemon_has_are_copied_from_by_its_names() -> None:
    dockerfile, stages = prepared("FROM x\nCOPY --from=tools:1 /t /t\nCOPY --from=other /o /o\n")
    refuse_unsupported(dockerfile, stages, {"tools:1", "other"})
    text = classic_text(dockerfile, stages, {0: "local/x"}, {"tools:1": "local/tools:arm"})
    assert "COPY --from=local/tools:arm /t /t" in text
    assert "COPY --from=other /o /o" in text


def test_a_here_document_says_what_an_older_daemon_needs_too() -> None:
    def advice(text: str) -> str:
        with pytest.raises(ConfigError, match="here-document needs BuildKit") as caught:
            refuse_unsupported(*prepared(text))
        return caught.value.resolution

    text = "FROM x\nRUN <<E\nmake\nE\n"
    assert "Before Docker 23 that needs # syntax=docker/dockerfile:1 in line 1" in advice(text)
    assert "Before Docker 23" not in advice(f"# syntax=docker/dockerfile:1\n{text}")
