"""`--envoy PATH|IMAGE`: the user's own Envoy, filed by its machine type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.config.model import Config
from buildkit.errors import BuildkitError, UsageError
from buildkit.machine import read_machine
from buildkit.plan.binary_units import ENVOY
from buildkit.plan.options import split_list
from buildkit.plan.units import Override
from buildkit.platform import Platform

_IMAGE = re.compile(r"[:@][^/]+$")
"""What the name of an image ends in, so that a path with a slip of the pen is not asked for."""


class Given(Struct, frozen=True, kw_only=True):
    """What ``--envoy`` can stand for in a run.

    Attributes:
        config: the configuration.
        platforms: those of this run.
        find_image: gives the images behind a name, by platform, as references with digests.
    """

    config: Config
    platforms: tuple[Platform, ...]
    find_image: Callable[[str], Mapping[Platform, str]]

    def overrides(self, given: tuple[str, ...]) -> tuple[tuple[Platform, Override], ...]:
        """Return which Envoy stands in for the pinned one on which platform.

        Raises:
            UsageError: a file or image does not exist or is for no chosen platform, two are for
                the same, or the project fetches no Envoy.
            VerificationError: a file is no executable.
        """
        if ENVOY not in self.config.fetch:
            raise UsageError(
                f"--envoy: there is no fetch.{ENVOY} that it could stand for",
                resolution=f"Name the fetched Envoy {ENVOY} in targets.toml.",
            )
        found: dict[Platform, Override] = {}
        for words in (item for text in given for item in split_list(text)):
            for platform, override in self._filed(words):
                if platform in found:
                    raise UsageError(
                        f"--envoy {found[platform].words} and {words} are both for {platform}",
                        resolution="Give one for each platform.",
                    )
                found[platform] = override
        return tuple(found.items())

    def _filed(self, words: str) -> Iterator[tuple[Platform, Override]]:
        path = Path(words).expanduser().absolute()
        if path.is_file():
            machines = read_machine(path)
            what = " and ".join(sorted(map(str, machines)))
            fitting = [p for p in self.platforms if any(machine.fits(p) for machine in machines)]
            found = {p: Override(words=words, path=path) for p in fitting}
        else:
            images = self._images(words, path)
            what = f"an image for {', '.join(sorted(map(str, images)))}"
            found = {
                p: Override(words=words, image=images[p]) for p in self.platforms if p in images
            }
        if not found:
            raise UsageError(
                f"--envoy {words} is {what}",
                details=f"This run is for {', '.join(map(str, self.platforms))}.",
                resolution="Give one for one of these, or choose its --platform.",
            )
        yield from found.items()

    def _images(self, words: str, path: Path) -> Mapping[Platform, str]:
        if not _IMAGE.search(words):
            what = "that is no file" if path.exists() else "there is no such file"
            raise UsageError(
                f"--envoy {words}: {what}",
                resolution="Give a path, or an image with its tag or digest.",
            )
        try:
            return self.find_image(words)
        except BuildkitError as error:
            raise UsageError(
                f"--envoy {words}: there is no such file, and no such image",
                details=str(error),
                resolution="Give a path, or an image as registry/name:tag, docker-daemon:name:tag "
                "for one that only the Docker daemon has.",
            ) from error
