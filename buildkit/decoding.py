"""JSON to frozen values, from several threads at once."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, TypeVar

import msgspec

_Value = TypeVar("_Value")

_ONE_AT_A_TIME = threading.Lock()
"""A Struct learns its fields when it is first decoded, and can be seen by another thread while
it has learned half of them: that thread ends the process (seen with msgspec 0.22)."""


def decode_json(data: bytes | str, kind: type[_Value]) -> _Value:
    """Return the value of a type that some JSON describes.

    Raises:
        MsgspecError: it is no JSON, or does not fit.
    """
    key: Any = kind
    with _ONE_AT_A_TIME:
        decoder = _decoder(key)
    value: _Value = decoder.decode(data)
    return value


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
