"""Flags of one call hold for all its tasks."""

from __future__ import annotations

import pytest

from buildkit.errors import UsageError
from buildkit.plan.options import Options, split_list


def test_flags_of_two_tasks_are_joined() -> None:
    merged = Options(hub="a", jobs=2).merge(Options(tag="1", jobs=2))
    assert merged == Options(hub="a", tag="1", jobs=2)


def test_a_contradiction_is_an_error_that_names_flag_and_values() -> None:
    with pytest.raises(UsageError) as caught:
        Options(dry_run=True, debian_archive="a").merge(Options(debian_archive="b"))
    assert caught.value.brief == "--debian-archive is given twice: 'a' and 'b'"
    assert caught.value.exit_code == 2
    assert caught.value.resolution == "Give one."


def test_push_and_no_push_are_a_contradiction() -> None:
    with pytest.raises(UsageError, match="--push and --no-push are both given"):
        Options(push=True).merge(Options(push=False))


def test_a_list_has_no_empty_items() -> None:
    assert split_list(" a, b,,c ,") == ("a", "b", "c")
    assert split_list(None) == ()


def test_assignments_of_two_tasks_are_joined() -> None:
    both = Options(set=("a=1", "b=2")).merge(Options(set=("b=2", "c=3")))
    assert both.set == ("a=1", "b=2", "c=3")
    assert Options(set=("a=1",)).merge(Options()).set == ("a=1",)
