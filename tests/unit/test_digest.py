from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.digest import Digest, canonical_json

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=6,
)


def test_the_digest_of_nothing_is_the_known_one() -> None:
    assert str(Digest.of_bytes(b"")) == f"sha256:{EMPTY}"
    assert Digest.of_bytes(b"").short == EMPTY[:12]


@given(st.binary())
def test_bytes_stream_and_text_form_agree(data: bytes) -> None:
    digest = Digest.of_bytes(data)
    assert digest.hex == hashlib.sha256(data).hexdigest()
    assert Digest.of_stream(io.BytesIO(data)) == digest
    assert Digest.parse(str(digest)) == digest


def test_a_file_is_hashed_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "blob"
    data = bytes(range(256)) * 5000
    file.write_bytes(data)
    assert Digest.of_file(file) == Digest.of_bytes(data)
    with pytest.raises(FileNotFoundError):
        Digest.of_file(tmp_path / "absent")


def test_a_stream_is_hashed_from_where_it_stands() -> None:
    stream = io.BytesIO(b"headbody")
    stream.seek(4)
    assert Digest.of_stream(stream) == Digest.of_bytes(b"body")


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY,
        f"sha256:{EMPTY[:-1]}",
        f"sha256:{EMPTY}0",
        f"sha256:{EMPTY.upper()}",
        f"sha512:{EMPTY}",
        f"sha256:{EMPTY}\n",
        f" sha256:{EMPTY}",
    ],
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a sha256 digest"):
        Digest.parse(text)


def test_canonical_json_is_compact_sorted_and_unescaped() -> None:
    assert canonical_json({"b": [1, 2], "a": {"ü": None, "<": True}}) == (
        '{"a":{"<":true,"ü":null},"b":[1,2]}'.encode()
    )


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_the_order_of_keys_changes_nothing(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert canonical_json(turned) == canonical_json(value)
    assert Digest.of_json(turned) == Digest.of_json(value)
    assert json.loads(canonical_json(value)) == value


def test_different_values_have_different_digests() -> None:
    values: list[Any] = [{}, [], "", None, 0, False, {"a": 1}, {"a": "1"}, ["a", 1]]
    assert len({Digest.of_json(value) for value in values}) == len(values)
