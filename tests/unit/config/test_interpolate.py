"""The one interpolation syntax."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.config.interpolate import escape, has_lone_dollar, interpolate, names_in
from buildkit.errors import ConfigError

NAMES = st.sampled_from(["version", "git.revision", "os", "hub"])
PARTS = st.one_of(
    st.text(alphabet=st.characters(exclude_characters="$"), max_size=8).map(lambda t: (t, t)),
    st.just(("$$", "$")),
    NAMES.map(lambda name: (f"${{{name}}}", f"<{name}>")),
)
VALUES = {name: f"<{name}>" for name in ("version", "git.revision", "os", "hub")}


@given(st.lists(PARTS))
def test_every_variable_is_replaced_and_all_else_stays(parts: list[tuple[str, str]]) -> None:
    template = "".join(source for source, _ in parts)
    expected = "".join(value for _, value in parts)
    # A literal '{' after a '$$' is text, and no part can end in a single '$'.
    assert interpolate(template, VALUES) == expected


@given(st.text())
def test_an_escaped_text_interpolates_to_itself(text: str) -> None:
    assert interpolate(escape(text), {}) == text
    assert names_in(escape(text)) == frozenset()
    assert not has_lone_dollar(escape(text))


@given(st.text())
def test_what_no_check_complains_about_never_fails_later(text: str) -> None:
    if has_lone_dollar(text):
        with pytest.raises(ConfigError):
            interpolate(text, dict.fromkeys(names_in(text), "x"))
    else:
        interpolate(text, dict.fromkeys(names_in(text), "x"))


def test_an_unknown_variable_is_named_with_its_near_miss() -> None:
    with pytest.raises(ConfigError) as caught:
        interpolate("v${versoin}", {"version": "1"})
    assert caught.value.brief == "unknown variable '${versoin}' in 'v${versoin}'"
    assert caught.value.details == "did you mean 'version'?"


def test_a_lone_dollar_is_refused_with_the_way_to_write_it() -> None:
    with pytest.raises(ConfigError) as caught:
        interpolate("costs $5", {})
    assert caught.value.resolution == "Write ${name}, or $$ for a dollar."


def test_an_unclosed_variable_is_a_lone_dollar() -> None:
    assert has_lone_dollar("${version")
    assert not has_lone_dollar("$${version")


def test_a_value_that_looks_like_a_variable_is_not_replaced_again() -> None:
    assert interpolate("${version}", {"version": "${os}", "os": "linux"}) == "${os}"
