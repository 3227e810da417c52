"""Image references: registry, repository, and a tag or digest.

The grammar is the distribution project's ``reference`` package, which Docker
and Podman follow.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import ConfigError

DEFAULT_REGISTRY = "docker.io"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")


class Reference(Struct, frozen=True, kw_only=True):
    """One image name; at most one of ``tag`` and ``digest`` is set by our own code."""

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``[registry/]repository[:tag][@digest]`` with Docker's defaults.

        Raises:
            ConfigError: the text is not a valid reference.
        """
        rest, _, digest_text = text.partition("@")
        if rest.endswith(":") or text.endswith("@"):
            raise _invalid(text, "nothing stands after its ':' or '@'")
        rest, tag = _split_tag(rest)
        registry, repository = _split_registry(rest)
        try:
            digest = Digest.parse(digest_text) if digest_text else None
        except ValueError as error:
            raise _invalid(text, str(error)) from error
        if not _HOST.fullmatch(registry):
            raise _invalid(text, f"'{registry}' is not a registry host")
        if not _REPOSITORY.fullmatch(repository):
            raise _invalid(text, f"'{repository}' is not a repository name (lower case only)")
        if tag:
            check_tag(tag)
        return cls(registry=registry, repository=repository, tag=tag, digest=digest)

    def __str__(self) -> str:
        """Return the reference with its registry written out."""
        suffix = (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")
        return f"{self.registry}/{self.repository}{suffix}"

    @property
    def name(self) -> str:
        """Registry and repository without tag or digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """The reference as a Docker daemon lists it, Docker Hub's names without their host."""
        text = str(self)
        if self.registry == DEFAULT_REGISTRY:
            text = text.removeprefix(f"{DEFAULT_REGISTRY}/").removeprefix("library/")
        return text

    def with_tag(self, tag: str) -> Reference:
        """Return the same repository at a tag."""
        return replace(self, tag=check_tag(tag), digest=None)

    def with_digest(self, digest: Digest) -> Reference:
        """Return the same repository at a digest."""
        return replace(self, tag="", digest=digest)


Locate = Callable[[Reference], Reference]
"""Says where an image is read from."""


def itself(reference: Reference) -> Reference:
    """Locate images where their names say."""
    return reference


def mirrored(reference: Reference, mirrors: Mapping[str, str]) -> Reference:
    """Return where to read an image that mirrors may have: same tag and digest.

    Args:
        reference: the image, as its users know it.
        mirrors: the start of a name (``docker.io``, ``gcr.io/istio-release``) and
            what stands in for it; whole components count, the longest start
            wins. Prefixes of URLs among them mean no image.
    """
    parts = reference.name.split("/")
    for count in range(len(parts), 0, -1):
        if replacement := mirrors.get("/".join(parts[:count])):
            name = "/".join((replacement.rstrip("/"), *parts[count:]))
            found = Reference.parse(name)
            return replace(found, tag=reference.tag, digest=reference.digest)
    return reference


def is_prefix(text: str) -> bool:
    """Tell whether a text is a registry, or the start of names in one, as mirror maps have."""
    try:
        return Reference.parse(f"{text}/name").name == f"{text}/name"
    except ConfigError:
        return False


def check_tag(tag: str) -> str:
    """Return the tag if its syntax is valid.

    Raises:
        ConfigError: empty, too long, or with a character that tags cannot have.
    """
    if not _TAG.fullmatch(tag):
        raise ConfigError(
            f"'{tag}' is not a valid tag" if tag else "the tag is empty",
            details="A tag is 1 to 128 letters, digits, '_', '.' or '-', "
            "and does not start with '.' or '-'.",
            resolution="Give one with --tag or TAG, or set registry.tags.",
        )
    return tag


def is_loopback(registry: str) -> bool:
    """Tell whether a registry host (with or without port) is this machine's loopback."""
    host = registry.rsplit(":", 1)[0] if not registry.endswith("]") else registry
    host = host.strip("[]")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split_hub(hub: str) -> tuple[str, str]:
    """Split a hub such as ``localhost:5000/team`` into registry and repository prefix.

    Raises:
        ConfigError: the hub is empty or no valid start of a reference.
    """
    if not hub.strip():
        raise ConfigError(
            "the hub is empty",
            resolution="Give one with --hub or HUB, or set registry.hub.",
        )
    if "://" in hub:
        raise ConfigError(
            f"the hub {hub} begins like a URL",
            resolution=f"Write {hub.partition('://')[2]}. Plain http is for loopback, and for "
            "hosts in registry.insecure.",
        )
    probe = Reference.parse(f"{hub.rstrip('/')}/image")
    prefix = probe.repository.removesuffix("image").rstrip("/")
    return probe.registry, prefix


def hub_reference(hub: str, image: str, tag: str) -> Reference:
    """Name an image at a hub: ``localhost:5000`` + ``pilot`` + ``latest``."""
    registry, prefix = split_hub(hub)
    repository = f"{prefix}/{image}" if prefix else image
    return Reference.parse(f"{registry}/{repository}:{check_tag(tag)}")


def _split_tag(text: str) -> tuple[str, str]:
    head, colon, tail = text.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (text, "")


def _split_registry(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return DEFAULT_REGISTRY, text if slash else f"library/{text}"


def _invalid(text: str, details: str) -> ConfigError:
    return ConfigError(
        f"invalid image reference '{text}'",
        details=details,
        resolution="Write it as registry/repository:tag, for example localhost:5000/pilot:latest.",
    )
