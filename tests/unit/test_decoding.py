"""JSON to values: what fits, what does not."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Struct

from buildkit.decoding import decode_json


class Point(Struct, frozen=True):
    x: int
    y: int = 0


def test_json_becomes_a_value_of_the_type() -> None:
    assert decode_json(b'{"x": 1}', Point) == Point(x=1)
    assert decode_json('[{"x": 1, "y": 2}]', tuple[Point, ...]) == (Point(x=1, y=2),)


@pytest.mark.parametrize("text", [b"", b"[", b'{"x": "1"}', b"{}"])
def test_what_does_not_fit_is_an_error_of_msgspec(text: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_json(text, Point)
