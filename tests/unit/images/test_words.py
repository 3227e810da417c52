from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.images.words import WordError, expand, split_words

VARIABLES = {"A": "one", "EMPTY": "", "B_2": "two"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("plain", "plain"),
        ("$A/$B_2", "one/two"),
        ("${A}x", "onex"),
        ("$Ax", ""),
        ("${MISSING:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${MISSING-d}", "d"),
        ("${A:-d}", "one"),
        ("${A:+set}", "set"),
        ("${EMPTY:+set}", ""),
        ("${EMPTY+set}", "set"),
        ("${MISSING:-${A}-$B_2}", "one-two"),
        ("${A:?needed}", "one"),
        ("'$A'", "$A"),
        ('"$A b"', "one b"),
        (r"\$A", "$A"),
        (r'"\$A \" \n"', r'$A " \n'),
        ("a$", "a$"),
        ("$.x", "$.x"),
        ("x'a'\"b\"c", "xabc"),
        ("$1", ""),
    ],
)
def test_variables_quotes_and_escapes_follow_buildkit(word: str, value: str) -> None:
    assert expand(word, VARIABLES) == value


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("'open", "single quote is not closed"),
        ('"open', "double quote is not closed"),
        ("${A", "unexpected end"),
        ("${}", "bad substitution"),
        ("${A:-x", "unexpected end"),
        ("${A#x}", "unsupported substitution"),
        ("${MISSING:?say why}", "MISSING: say why"),
    ],
)
def test_a_malformed_word_is_an_error(word: str, problem: str) -> None:
    with pytest.raises(WordError, match=problem):
        expand(word, VARIABLES)


def test_the_escape_character_can_be_a_backtick() -> None:
    assert expand("C:\\x`$A", VARIABLES, escape="`") == "C:\\x$A"


def test_words_are_split_outside_of_quotes() -> None:
    assert split_words(r'a  "b c" d\ e ' + "'f g'") == ("a", '"b c"', r"d\ e", "'f g'")


@given(st.text(st.sampled_from("A${}:-+?'\"\\ #x"), max_size=20))
def test_any_word_gives_text_or_a_word_error(word: str) -> None:
    with contextlib.suppress(WordError):
        assert isinstance(expand(word, VARIABLES), str)


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1)))
def test_plain_words_survive_splitting(words: list[str]) -> None:
    assert split_words("  ".join(words)) == tuple(words)
