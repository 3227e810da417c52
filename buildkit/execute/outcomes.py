"""How units ended."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from buildkit.errors import BuildkitError
from buildkit.plan.units import Artifact, Unit


class Status(StrEnum):
    """How a unit ended."""

    DONE = "done"
    CACHED = "cached"
    RESTORED = "restored"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    FAILED = "failed"
    ABORTED = "aborted"


class Outcome(Struct, frozen=True, kw_only=True):
    """One unit's end; ``seconds`` is wall time, shared by the units of one batch."""

    unit: Unit
    status: Status
    reason: str
    seconds: float = 0.0
    artifact: Artifact | None = None
    error: BuildkitError | None = None
