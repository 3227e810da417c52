from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.errors import ConfigError
from buildkit.images.dockerfile import INSTRUCTIONS, parse


def test_instructions_have_names_lines_and_values() -> None:
    dockerfile = parse("# a comment\nfrom base AS x\n\nCOPY a \\\n  b /to/\nuser 1337:1337\n")
    assert [(item.name, item.line, item.end_line) for item in dockerfile.instructions] == [
        ("FROM", 2, 2),
        ("COPY", 4, 5),
        ("USER", 6, 6),
    ]
    assert dockerfile.instructions[0].words == ("base", "AS", "x")
    assert dockerfile.instructions[1].words == ("a", "b", "/to/")


def test_json_and_shell_form_are_told_apart() -> None:
    dockerfile = parse('FROM x\nENTRYPOINT ["/bin/a", "b c"]\nCMD [not json\nLABEL ["x"]\n')
    _, entrypoint, cmd, label = dockerfile.instructions
    assert (entrypoint.json_form, entrypoint.words) == (True, ("/bin/a", "b c"))
    assert (cmd.json_form, cmd.value) == (False, "[not json")
    assert not label.json_form


def test_flags_are_taken_off_the_arguments() -> None:
    (_, copy, run) = parse("FROM x\nCOPY --from=0 --link a /b\nRUN echo --x\n").instructions
    assert copy.flags == (("from", "0"), ("link", ""))
    assert (copy.flag("from"), copy.flag("link"), copy.flag("chmod")) == ("0", "", None)
    assert copy.words == ("a", "/b")
    assert run.flags == ()


def test_comments_and_blank_lines_between_continuation_lines_are_skipped() -> None:
    dockerfile = parse("FROM x\nRUN a && \\\n# why\n\n  b\nUSER 1\n")
    assert dockerfile.instructions[1].value == "a &&   b"
    assert dockerfile.instructions[1].end_line == 5


def test_the_escape_directive_changes_continuation() -> None:
    dockerfile = parse(
        "# syntax=docker/dockerfile:1\n# escape=`\nFROM x\nCOPY a `\n C:\\\nUSER 1\n"
    )
    assert dockerfile.escape == "`"
    assert [item.name for item in dockerfile.instructions] == ["FROM", "COPY", "USER"]


def test_the_front_end_is_what_the_directive_names() -> None:
    assert parse("# escape=`\n# syntax = d/f:1\nFROM x\n").front_end == (2, "d/f:1")
    assert parse("# other\n# syntax=d/f:1\nFROM x\n").front_end is None
    assert parse("FROM x\n").front_end is None


def test_a_directive_below_a_comment_is_a_comment() -> None:
    assert parse("# about\n# escape=`\nFROM x\n").escape == "\\"


def test_here_documents_are_recognised_and_skipped() -> None:
    dockerfile = parse("FROM x\nRUN <<EOF cat\nFROM y\nEOF\nCOPY <<-'A' <<B /to/\n\tA\nB\nUSER 1\n")
    assert [item.name for item in dockerfile.instructions] == ["FROM", "RUN", "COPY", "USER"]
    assert dockerfile.instructions[1].heredocs == ("EOF",)
    assert dockerfile.instructions[2].heredocs == ("A", "B")
    assert (dockerfile.instructions[1].line, dockerfile.instructions[1].end_line) == (2, 4)


def test_a_shift_operator_in_a_command_is_no_here_document() -> None:
    assert (
        parse('FROM x\nRUN ["a", "<<EOF"]\nRUN echo $((1<<EOF))\n').instructions[2].heredocs == ()
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Dockerfile has no FROM"),
        ("ARG X\n", "Dockerfile has no FROM"),
        ("FROM x\nCOPPY a b\n", "line 2: unknown instruction 'COPPY'"),
        ("FROM x\nRUN\n", "line 2: RUN needs an argument"),
        ("FROM x\nRUN <<EOF\nhello\n", "line 2: the here-document EOF does not end"),
        ("# escape=x\nFROM x\n", "line 1: the escape character is x"),
        ("# escape=`\n# escape=`\nFROM x\n", "line 2: the directive 'escape' is given twice"),
    ],
)
def test_what_cannot_be_parsed_is_an_error_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse(text)


def test_a_misspelt_instruction_has_a_near_miss() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("FROM x\nENTRYPIONT a\n")
    assert caught.value.resolution == "Did you mean ENTRYPOINT?"


def test_a_byte_order_mark_and_windows_line_ends_are_read_over() -> None:
    dockerfile = parse("\ufeffFROM x\r\nCOPY a \\\r\n b\r\n")
    assert [item.value for item in dockerfile.instructions] == ["x", "a  b"]


def test_a_continuation_of_nothing_is_nothing() -> None:
    assert len(parse("FROM x\n\\\n\n").instructions) == 1


PIECES = st.sampled_from(
    [
        "FROM x",
        "RUN ",
        "COPY ",
        "ENV ",
        "ARG ",
        "LABEL ",
        "--from=",
        "<<E",
        "E",
        "\\",
        "`",
        "\n",
        " ",
        "\t",
        "#",
        "escape=",
        "$",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "a",
        "=",
        "\r",
        "\x0b",
        "\u2028",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_parses_or_is_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        for item in parse("FROM x\n" + text).instructions:
            assert item.name in INSTRUCTIONS
            assert item.line <= item.end_line


WORDS = st.lists(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=5),
    min_size=2,
    max_size=8,
)


@given(WORDS, st.data())
def test_continuation_lines_join_to_the_same_words(words: list[str], data: st.DataObject) -> None:
    breaks = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    text = "".join(
        word + (" \\\n" if split else " ") for word, split in zip(words, breaks, strict=True)
    )
    copied = parse(f"FROM x\nCOPY {text}end\nUSER 1\n").instructions
    assert copied[1].words == (*words, "end")
    assert copied[1].end_line == 2 + sum(breaks)
    assert copied[2].line == 3 + sum(breaks)
