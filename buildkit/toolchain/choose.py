"""Which Go a run uses, and why; decided by looking, so that a plan can say it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec import Struct

from buildkit.errors import EnvironmentMissingError
from buildkit.platform import Platform
from buildkit.toolchain.accept import Wanted
from buildkit.toolchain.find import Toolchain, toolchain_at


class LockedGo(Struct, frozen=True, kw_only=True):
    """The toolchain that ``targets.lock`` pins for this host."""

    version: str
    sum: str
    """go.sum's ``h1:`` of the module golang.org/toolchain at this version and host."""
    host: Platform

    @property
    def module_version(self) -> str:
        """The version of golang.org/toolchain that is this release on this host."""
        return f"v0.0.1-go{self.version}.{self.host.os}-{self.host.arch}"

    def home(self, cache: Path) -> Path:
        """Return its GOROOT in the user's cache.

        The sum is part of the name: what lies there was verified against it.
        """
        mark = hashlib.sha256(self.sum.encode()).hexdigest()[:12]
        return cache / "go" / f"{self.version}-{self.host.slug}-{mark}"


class GoChoice(Struct, frozen=True, kw_only=True):
    """The Go of a run."""

    version: str
    toolchain: Toolchain | None
    """None where the locked one must be provisioned first."""
    reason: str
    locked: LockedGo | None = None
    found: Toolchain | None = None
    """What PATH names, although it is not used; it can fetch the locked one."""


def choose_go(
    *, found: Toolchain | None, wanted: Wanted, locked: LockedGo | None, cache: Path
) -> GoChoice:
    """Choose between the Go on PATH and the locked one; a few looks at the file system.

    Raises:
        EnvironmentMissingError: neither will do.
        ConfigError: the project's own specifier is none.
    """
    refusal = wanted.refusal(found.version) if found else ""
    if found is not None and not refusal:
        reason = f"Go {found.version} on PATH, {found.goroot}"
        return GoChoice(version=found.version, toolchain=found, reason=reason)
    why = f"PATH has Go {found.version}, {refusal}" if found else "no Go on PATH"
    if locked is None:
        raise EnvironmentMissingError(
            f"no usable Go: {why}",
            details="targets.lock pins no Go toolchain for this machine.",
            resolution=f"Install {_asked(wanted)}, or pin one with `invoke lock`.",
        )
    if late := wanted.refusal(locked.version):
        raise EnvironmentMissingError(
            f"no usable Go: {why}; targets.lock has Go {locked.version}, {late}",
            resolution=f"Install {_asked(wanted)}, or refresh the lock with `invoke lock`.",
        )
    home = locked.home(cache)
    return GoChoice(
        version=locked.version,
        toolchain=toolchain_at(home),
        reason=f"{why}; the locked Go {locked.version}",
        locked=locked,
        found=found,
    )


def _asked(wanted: Wanted) -> str:
    parts = [f"{wanted.minimum} or newer"] if wanted.minimum else []
    parts += [wanted.specifier] if wanted.specifier else []
    return " ".join(["Go", " and ".join(parts)]).strip()
