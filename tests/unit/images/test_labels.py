from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.images.dockerfile import parse
from buildkit.images.labels import append_labels, oci_labels
from buildkit.images.words import expand, split_words


def labels_of(text: str) -> dict[str, str]:
    """Read the last LABEL as BuildKit does."""
    dockerfile = parse(text)
    last = dockerfile.instructions[-1]
    assert last.name == "LABEL"
    pairs = (word.partition("=") for word in split_words(last.value, escape=dockerfile.escape))
    return {key: expand(value, {"A": "no"}, escape=dockerfile.escape) for key, _, value in pairs}


def test_labels_without_a_value_are_left_out() -> None:
    assert oci_labels(title="pilot", revision="", base_name="b") == (
        ("org.opencontainers.image.title", "pilot"),
        ("org.opencontainers.image.base.name", "b"),
    )


def test_labels_become_one_instruction_at_the_end() -> None:
    text = append_labels("FROM x\nUSER 1\n\n", [("b", "2"), ("a", "1"), ("b", "3")])
    assert text == 'FROM x\nUSER 1\nLABEL a="1" \\\n      b="3"\n'


def test_no_labels_change_nothing() -> None:
    assert append_labels("FROM x\n", []) == "FROM x\n"


@pytest.mark.parametrize("escape", ["\\", "`"])
def test_every_character_survives(escape: str) -> None:
    value = "quote \" dollar $A ${A} back\\slash tick ` 'single' # hash \\"
    head = f"# escape={escape}\nFROM x\n"
    assert labels_of(append_labels(head, [("k", value), ("l", "x")], escape=escape)) == {
        "k": value,
        "l": "x",
    }


def test_line_ends_become_spaces() -> None:
    assert labels_of(append_labels("FROM x\n", [("k", "two\nlines")])) == {"k": "two lines"}


@given(st.dictionaries(st.text("abc.", min_size=1), st.text(), min_size=1))
def test_any_value_comes_back_on_one_line(labels: dict[str, str]) -> None:
    flat = {key: " ".join(value.splitlines()) for key, value in labels.items()}
    assert labels_of(append_labels("FROM x\n", labels.items())) == flat
