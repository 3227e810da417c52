"""What binaries and images may have at most, as Istio's binary tests hold it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from buildkit.errors import VerificationError

_MEGA = 1e6


class Weight(Struct, frozen=True, kw_only=True):
    """What something has and may have, in bytes."""

    name: str
    size: int
    limit: int


def check_budgets(weights: Iterable[Weight]) -> None:
    """Refuse a release whose parts are too large.

    Raises:
        VerificationError: some are; all are named.
    """
    heavy = [weight for weight in weights if weight.size > weight.limit]
    if heavy:
        several = f"{len(heavy)} things are" if len(heavy) > 1 else "something is"
        raise VerificationError(
            f"{several} larger than targets.toml allows",
            details="\n".join(
                f"{item.name} has {item.size / _MEGA:.1f} MB, max_size is "
                f"{item.limit / _MEGA:.1f} MB"
                for item in heavy
            ),
            resolution="Find out what made it grow, as with `go version -m`, or raise max_size.",
        )
