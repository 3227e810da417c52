from __future__ import annotations

import pytest

from buildkit.errors import VerificationError
from buildkit.release.budget import Weight, check_budgets


def test_what_is_within_its_budget_passes() -> None:
    check_budgets([Weight(name="binary/a@linux/amd64", size=5, limit=5)])


def test_all_that_is_too_large_is_named_with_both_sizes() -> None:
    heavy = [
        Weight(name="binary/a@linux/amd64", size=91_500_000, limit=90_000_000),
        Weight(name="binary/b@linux/amd64", size=1, limit=2),
        Weight(name="image/pilot@linux/arm64", size=2_000_000, limit=1_000_000),
    ]
    with pytest.raises(VerificationError) as caught:
        check_budgets(heavy)
    assert caught.value.brief == "2 things are larger than targets.toml allows"
    assert caught.value.details.splitlines() == [
        "binary/a@linux/amd64 has 91.5 MB, max_size is 90.0 MB",
        "image/pilot@linux/arm64 has 2.0 MB, max_size is 1.0 MB",
    ]
    assert "max_size" in caught.value.resolution
