"""Tools that made different bytes are not compared."""

from __future__ import annotations

import pytest

from buildkit.digest import Digest
from buildkit.errors import BuildError
from tests.bench.build import check_same

ONE, OTHER = Digest.of_bytes(b"one"), Digest.of_bytes(b"other")


def test_the_same_bytes_are_accepted() -> None:
    check_same({"a": {"x": ONE, "y": OTHER}, "b": {"y": OTHER, "x": ONE}})


@pytest.mark.parametrize("found", [{"x": OTHER}, {}])
def test_other_bytes_and_missing_ones_are_refused(found: dict[str, Digest]) -> None:
    with pytest.raises(BuildError, match="by hand and tool differ in x"):
        check_same({"by hand": {"x": ONE}, "tool": found})
