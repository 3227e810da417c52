"""Writing and removing credentials where Docker keeps them: a helper, or ``config.json``.

Formats: see :mod:`buildkit.registry.credentials`, which reads them. What else the
file holds stays as it is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.errors import AuthError, ConfigError, EnvironmentMissingError
from buildkit.proc import Completed, Runner
from buildkit.reference import DEFAULT_REGISTRY
from buildkit.registry.credentials import (
    DOCKER_HUB_KEY,
    Credential,
    CredentialFile,
    credential_keys,
    docker_config,
    load_credentials,
    same_registry,
)
from buildkit.store import atomic_write


class CredentialKeeper(Struct, frozen=True, kw_only=True):
    """The place of one user's credentials.

    Attributes:
        environ: names the file, and is what helpers are started with.
        runner: starts credential helpers.
    """

    environ: Mapping[str, str]
    runner: Runner

    def save(self, registry: str, credential: Credential) -> str:
        """Keep a login and return where: a helper's program or a file.

        Raises:
            AuthError: the helper fails; nothing was written.
            ConfigError: the file is not of its format or cannot be written.
            EnvironmentMissingError: nothing says where it is.
        """
        path = docker_config(self.environ)
        settings = load_credentials(path) if path.exists() else CredentialFile()
        helper = settings.helper_of(credential_keys(registry))
        if helper:
            secret = {
                "ServerURL": server_name(registry),
                "Username": credential.username,
                "Secret": credential.secret,
            }
            self._ask(helper, "store", json.dumps(secret).encode())
            if any(same_registry(key, registry) for key in settings.auths):
                # Docker's own sign that the secret is elsewhere; an old one must not stay.
                _change(path, registry, {})
            return f"docker-credential-{helper}"
        pair = f"{credential.username}:{credential.secret}".encode()
        _change(path, registry, {"auth": base64.b64encode(pair).decode()})
        return str(path)

    def remove(self, registry: str) -> tuple[str, ...]:
        """Forget a login and return where one was.

        Raises:
            AuthError: the helper fails.
            ConfigError: the file is not of its format or cannot be written.
        """
        path = docker_config(self.environ)
        if not path.exists():
            return ()
        settings, found = load_credentials(path), []
        helper = settings.helper_of(credential_keys(registry))
        if helper and self._ask(helper, "erase", server_name(registry).encode()):
            found.append(f"docker-credential-{helper}")
        if any(same_registry(key, registry) for key in settings.auths):
            _change(path, registry, None)
            found.append(str(path))
        return tuple(found)

    def _ask(self, helper: str, verb: str, stdin: bytes) -> bool:
        """Start a helper; False where it has nothing to erase."""
        program = f"docker-credential-{helper}"
        advice = "Install or unlock that credential helper, or remove it from the Docker config."
        try:
            done = self.runner.run((program, verb), env=self.environ, cwd=Path("/"), stdin=stdin)
        except EnvironmentMissingError as error:
            raise AuthError(
                f"{program} is named by the Docker config but missing",
                details="Nothing was written.",
                resolution=advice,
            ) from error
        if done.returncode == 0:
            return True
        if verb == "erase" and _knows_none(done):
            return False
        # Its words may hold the secret, so they are not repeated.
        raise AuthError(
            f"{program} {verb} failed with status {done.returncode}",
            details="Nothing was written.",
            resolution=advice,
        )


def server_name(registry: str) -> str:
    """Return the name under which Docker keeps a registry's credentials."""
    return DOCKER_HUB_KEY if registry == DEFAULT_REGISTRY else registry


def _knows_none(done: Completed) -> bool:
    return b"credentials not found" in done.stdout + done.stderr


def _change(path: Path, registry: str, entry: dict[str, str] | None) -> None:
    """Put one registry's entry in place of all that mean it; None removes them."""
    # A link stays one: such files often lie in a repository of settings.
    target = path.resolve()
    try:
        value: dict[str, Any] = decode_json(target.read_bytes() or b"{}", dict)
    except (FileNotFoundError, NotADirectoryError):
        value = {}
    held = value.get("auths") or {}
    auths = {key: item for key, item in held.items() if not same_registry(key, registry)}
    if entry is not None:
        auths[server_name(registry)] = entry
    text = json.dumps({**value, "auths": auths}, indent="\t", ensure_ascii=False)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write(target, text.encode(), mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"the credentials file {path} cannot be written",
            details=error.strerror or str(error),
            resolution="Mend its rights, or name another directory with DOCKER_CONFIG.",
        ) from error
