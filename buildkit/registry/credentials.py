"""Credentials from the files that Docker and Podman write.

Formats: docker's ``cli/config`` (https://docs.docker.com/reference/cli/docker/login/),
the credential helper protocol (https://github.com/docker/docker-credential-helpers)
and containers-auth.json(5). Credentials are looked up only after a registry
asked for some, so a local registry never starts a helper.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from buildkit.decoding import decode_json
from buildkit.errors import AuthError, ConfigError, EnvironmentMissingError
from buildkit.proc import Runner
from buildkit.reference import DEFAULT_REGISTRY

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
"""The name under which Docker keeps the credentials of docker.io."""

HUB_NAMES = frozenset({DEFAULT_REGISTRY, "index.docker.io", "registry-1.docker.io"})
"""What else docker.io is called."""

_TOKEN_USER = "<token>"  # noqa: S105 - how helpers mark an identity token


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A user name and password, or an identity token for the OAuth2 flow."""

    username: str
    secret: str = field(repr=False)
    is_identity_token: bool = False

    def basic(self) -> str:
        """Return the value of a Basic Authorization header."""
        return f"Basic {base64.b64encode(f'{self.username}:{self.secret}'.encode()).decode()}"


class CredentialSource(Protocol):
    """Where the client asks for credentials; tests pass a fake."""

    def find(self, registry: str, repository: str, *, push: bool) -> Credential | None:
        """Return what to log in with, or None to go on anonymously.

        Raises:
            AuthError: credentials are needed to push but cannot be read.
        """
        ...


class _Auth(msgspec.Struct, frozen=True):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""


class CredentialFile(msgspec.Struct, frozen=True, rename="camel"):
    """What such a file says of credentials."""

    auths: dict[str, _Auth] = {}
    cred_helpers: dict[str, str] = {}
    creds_store: str = ""

    def helper_of(self, keys: Iterable[str]) -> str:
        """Return the helper to ask under some keys, the most specific first, or nothing."""
        found = (self.cred_helpers[key] for key in keys if key in self.cred_helpers)
        return next(found, self.creds_store)


class _HelperAnswer(msgspec.Struct, frozen=True):
    Username: str = ""
    Secret: str = ""


class DockerCredentials:
    """Looks through the user's files, in the order of :func:`credential_files`.

    Args:
        environ: names the files, and is what helpers are started with.
        runner: starts credential helpers.
        warn: takes one line for the user where credentials cannot be read but
            the work can go on without.
    """

    def __init__(
        self, *, environ: Mapping[str, str], runner: Runner, warn: Callable[[str], None]
    ) -> None:
        self._environ = dict(environ)
        self._runner = runner
        self._warn = warn
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str, bool], Credential | None] = {}

    def find(self, registry: str, repository: str, *, push: bool) -> Credential | None:
        """Return the first file's credentials for a registry; asked once per repository.

        Raises:
            AuthError: a helper failed and the credentials are for a push.
            ConfigError: a file is not of its format.
        """
        key = (registry, repository, push)
        with self._lock:
            if key not in self._found:
                self._found[key] = self._search(registry, repository, push=push)
            return self._found[key]

    def _search(self, registry: str, repository: str, *, push: bool) -> Credential | None:
        for path in credential_files(self._environ):
            settings = load_credentials(path)
            names = tuple(credential_keys(registry, repository))
            helper = settings.helper_of(names)
            found = self._ask(helper, registry, push=push) if helper else None
            found = found or _from_auths(settings.auths, names, path)
            if found is not None:
                return found
        return None

    def _ask(self, helper: str, registry: str, *, push: bool) -> Credential | None:
        program = f"docker-credential-{helper}"
        server = DOCKER_HUB_KEY if registry in HUB_NAMES else registry
        try:
            done = self._runner.run(
                (program, "get"), env=self._environ, cwd=Path("/"), stdin=server.encode()
            )
        except EnvironmentMissingError as error:
            self._without(f"{program} is named by the Docker config but missing", error, push)
            return None
        if done.returncode != 0:
            if b"credentials not found" in done.stdout + done.stderr:
                return None
            # Its words may hold a secret, so they are not repeated.
            self._without(f"{program} failed with status {done.returncode}", None, push)
            return None
        try:
            answer = decode_json(done.stdout, _HelperAnswer)
        except (msgspec.DecodeError, msgspec.ValidationError):
            self._without(f"{program} gave no valid answer", None, push)
            return None
        return Credential(
            username=answer.Username,
            secret=answer.Secret,
            is_identity_token=answer.Username == _TOKEN_USER,
        )

    def _without(self, brief: str, error: Exception | None, push: bool) -> None:
        resolution = (
            "Install that credential helper, or remove it from the Docker config "
            "(credsStore, credHelpers) and log in again."
        )
        if push:
            raise AuthError(brief, resolution=resolution) from error
        self._warn(f"{brief}; going on without credentials. {resolution}")


def docker_config(environ: Mapping[str, str]) -> Path:
    """Return where Docker's file is, or would be.

    Raises:
        EnvironmentMissingError: neither DOCKER_CONFIG nor HOME is set.
    """
    folder, home = environ.get("DOCKER_CONFIG"), environ.get("HOME")
    if not (folder or home):
        raise EnvironmentMissingError(
            "there is no place for credentials",
            resolution="Set HOME, or let DOCKER_CONFIG name a directory.",
        )
    return Path(folder or f"{home}/.docker") / "config.json"


def credential_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the existing files that can hold credentials, first to last."""
    home = environ.get("HOME", "")
    docker = environ.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else "")
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    settings = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    places = (
        f"{docker}/config.json" if docker else "",
        environ.get("REGISTRY_AUTH_FILE", ""),
        f"{runtime}/containers/auth.json" if runtime else "",
        f"{settings}/containers/auth.json" if settings else "",
    )
    return tuple(Path(place) for place in places if place and Path(place).is_file())


def load_credentials(path: Path) -> CredentialFile:
    """Read a file of Docker or Podman.

    Raises:
        ConfigError: it cannot be read, or is of another format.
    """
    try:
        return decode_json(path.read_bytes() or b"{}", CredentialFile)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        # The decoder's words name a place, never a value.
        raise ConfigError(
            f"the credentials file {path} cannot be read",
            details=str(error),
            resolution="Repair it, or write it anew with `docker login`.",
        ) from error


def credential_keys(registry: str, repository: str = "") -> Iterator[str]:
    """Yield the keys that can hold a repository's credentials, most specific first."""
    parts = repository.split("/") if repository else []
    for count in range(len(parts), 0, -1):
        yield f"{registry}/{'/'.join(parts[:count])}"
    yield registry
    if registry in HUB_NAMES:
        yield from (DOCKER_HUB_KEY, *sorted(HUB_NAMES - {registry}))


def _from_auths(
    auths: Mapping[str, _Auth], names: tuple[str, ...], path: Path
) -> Credential | None:
    normal = {_normal(key): value for key, value in auths.items()}
    entry = next((normal[_normal(name)] for name in names if _normal(name) in normal), None)
    if entry is None:
        return None
    username, password = entry.username, entry.password
    if entry.auth:
        try:
            username, _, password = base64.b64decode(entry.auth).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ConfigError(f"an `auth` in {path} is not base64 of user:password") from error
    if entry.identitytoken:
        return Credential(username=username, secret=entry.identitytoken, is_identity_token=True)
    # After a login through a store, Docker leaves an empty entry behind.
    return Credential(username=username, secret=password.rstrip("\0")) if username else None


def _normal(key: str) -> str:
    bare = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    return bare.removesuffix("/v1").removesuffix("/v2")


def same_registry(key: str, registry: str) -> bool:
    """Tell whether a key of ``auths`` means a registry, in any of its spellings."""
    return _normal(key) in {_normal(name) for name in credential_keys(registry)}
