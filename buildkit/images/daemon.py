"""The Docker daemon through the Docker SDK: connecting, and reading its streams.

The SDK follows DOCKER_HOST and Docker contexts. It raises for a request that
is refused at once, but an error in the middle of a build, load, pull or push
arrives as an entry of the stream, which it passes on as data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from buildkit.errors import BuildError, BuildkitError, EnvironmentMissingError
from buildkit.plan.units import Progress
from buildkit.platform import Platform

if TYPE_CHECKING:
    from docker import DockerClient

PROBE_SECONDS = 10
STREAM_SECONDS = 1800
"""How long a build step or an upload may be silent."""
MINIMUM_API = (1, 41)
"""Docker 20.10: the first whose classic builder honours a platform without experimental mode."""

_SHOWN_LINES = 20
_NOISE = ("---> ", "Removing intermediate container ", "Successfully built ")
_START = "Install Docker or start it; `docker version` shows whether it answers."


def connect(environ: Mapping[str, str], *, timeout: int = STREAM_SECONDS) -> DockerClient:
    """Connect to the daemon that DOCKER_HOST or the current Docker context names.

    Raises:
        EnvironmentMissingError: it cannot be used; the message says why.
    """
    import docker

    try:
        client = docker.from_env(environment=dict(environ), timeout=timeout)
        version = client.version()
    except (docker.errors.DockerException, OSError, ValueError) as error:
        raise unusable(error) from error
    check_version(version)
    return client


def daemon_problem(environ: Mapping[str, str]) -> str | None:
    """Return a sentence on why the daemon cannot be used, or None where it can."""
    try:
        connect(environ, timeout=PROBE_SECONDS).close()
    except EnvironmentMissingError as error:
        return f"{error.brief}: {error.details}" if error.details else error.brief
    return None


def daemon_platform(client: DockerClient) -> Platform:
    """Return the platform whose containers the daemon runs without emulation."""
    version = client.version()
    return Platform(version["Os"], version["Arch"])


def named_images(client: DockerClient) -> dict[str, str]:
    """Return the id of every name that the daemon has, asking it once."""
    with daemon_errors("the daemon does not list its images"):
        listed = client.api.images()
    return {tag: item["Id"] for item in listed for tag in item.get("RepoTags") or ()}


class LocalImage(Struct, frozen=True, kw_only=True):
    """What the daemon says about an image."""

    id: str
    platform: Platform
    size: int
    diff_ids: tuple[str, ...]


def find_image(client: DockerClient, name: str) -> LocalImage | None:
    """Return the image of a name or id, None where the daemon has none."""
    import docker

    with daemon_errors(f"the daemon does not describe {name}"):
        try:
            value = client.images.get(name).attrs
        except docker.errors.ImageNotFound:
            return None
    return LocalImage(
        id=value["Id"],
        platform=Platform(value["Os"], value["Architecture"], value.get("Variant") or ""),
        size=int(value["Size"]),
        diff_ids=tuple((value.get("RootFS") or {}).get("Layers") or ()),
    )


def image_environment(client: DockerClient, name: str) -> dict[str, str]:
    """Return the variables that an image of the daemon sets."""
    with daemon_errors(f"the daemon does not describe {name}"):
        config = client.images.get(name).attrs.get("Config") or {}
    pairs = (item.partition("=") for item in config.get("Env") or ())
    return {key: value for key, _, value in pairs}


def tag_image(client: DockerClient, image: str, name: str) -> None:
    """Give an image a name with tag."""
    repository, _, tag = name.rpartition(":")
    with daemon_errors(f"{image} cannot be named {name}"):
        client.api.tag(image, repository, tag)


def same_platform(found: Platform, wanted: Platform) -> bool:
    """Compare system and architecture; a daemon may name a variant that nobody asked for."""
    return (found.os, found.arch) == (wanted.os, wanted.arch)


@contextmanager
def daemon_errors(brief: str, family: type[BuildkitError] = BuildError) -> Iterator[None]:
    """Turn what the SDK raises into our error with the daemon's words.

    Raises:
        BuildkitError: of the given family.
    """
    import docker

    try:
        yield
    except docker.errors.DockerException as error:
        words = getattr(error, "explanation", None) or error
        raise family(brief, details=str(words)) from error
    except OSError as error:
        raise family(
            brief, details=f"The connection to the Docker daemon failed: {error}", resolution=_START
        ) from error


def follow(
    entries: Iterable[Mapping[str, Any]],
    progress: Progress,
    *,
    brief: str,
    family: type[BuildkitError] = BuildError,
) -> tuple[Mapping[str, Any], ...]:
    """Read a daemon's stream to its end and return its ``aux`` entries.

    Args:
        entries: the decoded stream.
        progress: gets each line that says something new.
        brief: what failed, should it fail.
        family: the error to raise then.

    Raises:
        BuildkitError: an entry anywhere in the stream is an error; details hold
            the last lines before it and the daemon's words.
    """
    last: deque[str] = deque(maxlen=_SHOWN_LINES)
    found: list[Mapping[str, Any]] = []
    with daemon_errors(brief, family):
        for entry in entries:
            if "error" in entry or "errorDetail" in entry:
                _drain(entries, brief)
                raise family(brief, details="\n".join((*last, _words(entry))))
            if isinstance(entry.get("aux"), Mapping):
                found.append(entry["aux"])
            line = _line(entry)
            if line and (not last or last[-1] != line):
                last.append(line)
                progress(line)
    return tuple(found)


def _drain(entries: Iterable[object], brief: str) -> None:
    # A response that was not read to its end keeps its connection open.
    with suppress(BuildkitError), daemon_errors(brief):
        deque(entries, maxlen=0)


def silent(_text: str) -> None:
    """Take progress that nobody wants to see."""


def _line(entry: Mapping[str, Any]) -> str:
    text = str(entry.get("stream") or "").strip()
    if text or "status" not in entry:
        return "" if text.startswith(_NOISE) else text
    parts = (entry.get("id"), entry["status"], entry.get("progress"))
    return " ".join(str(part) for part in parts if part)


def _words(entry: Mapping[str, Any]) -> str:
    detail = entry.get("errorDetail")
    message = detail.get("message") if isinstance(detail, Mapping) else None
    return str(message or entry.get("error") or "The daemon gave no reason.")


def check_version(version: Mapping[str, Any]) -> None:
    """Check what a daemon says of its version.

    Raises:
        EnvironmentMissingError: it is too old, or runs no Linux containers.
    """
    number = str(version.get("ApiVersion") or "0.0")
    if tuple(int(part) for part in number.split(".")) < MINIMUM_API:
        raise EnvironmentMissingError(
            "the Docker daemon is too old",
            details=f"It is {version.get('Version')}; 20.10 or newer is needed.",
            resolution="Update Docker.",
        )
    if version.get("Os") != "linux":
        raise EnvironmentMissingError(
            "the Docker daemon runs no Linux containers",
            details=f"It runs containers of {version.get('Os')}.",
            resolution="Switch it to Linux containers.",
        )


def unusable(error: BaseException) -> EnvironmentMissingError:
    """Return the error for a daemon that could not be asked."""
    causes = tuple(_chain(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        return EnvironmentMissingError(
            "the Docker daemon's socket may not be opened",
            details="Permission denied.",
            resolution="Add your user to the group that owns the socket (usually docker) "
            "and log in again.",
        )
    if any(isinstance(cause, FileNotFoundError) for cause in causes):
        return EnvironmentMissingError(
            "there is no Docker daemon",
            details="Its socket does not exist.",
            resolution=_START,
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return EnvironmentMissingError(
            "the Docker daemon is not running",
            details="Nothing answers at its address.",
            resolution=_START,
        )
    return EnvironmentMissingError(
        "the Docker daemon cannot be used", details=str(error), resolution=_START
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    # requests wraps urllib3's error, which wraps the socket's, partly as arguments.
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        item = queue.pop()
        if item is None or item in seen:
            continue
        seen.append(item)
        yield item
        queue += [item.__cause__, item.__context__]
        queue += [value for value in item.args if isinstance(value, BaseException)]
