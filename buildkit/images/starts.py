"""Images that a Dockerfile starts from or copies from, by the names that are written there."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from buildkit.images.local import local_base
from buildkit.plan.units import Artifact, BuildImage
from buildkit.platform import Platform


class Starts(Struct, frozen=True, kw_only=True):
    """What was made for an image to start from.

    ``known`` has an artifact for each name and platform.
    """

    known: Mapping[tuple[str, str], Artifact]

    @classmethod
    def of(cls, action: BuildImage, platform: Platform, given: Mapping[str, Artifact]) -> Starts:
        """Return those of an image; a template has one, under the name it is rendered with."""
        known = {(name, unit.rpartition("@")[2]): given[unit] for name, unit in action.starts}
        if action.is_template:
            base = given[action.base]
            known[local_base(base, platform).name, str(platform)] = base
        return cls(known=known)

    def get(self, name: str, platform: Platform) -> Artifact | None:
        """Return the artifact that a name means; None for what only a registry knows."""
        return self.known.get((name, str(platform)))
