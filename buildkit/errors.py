"""The one error root and its families, each with its exit code.

An error has three parts: what happened, why, and what to do about it. The
command line prints those three parts and exits with the family's code; a
traceback is shown only for what is not a :class:`BuildkitError` or with
``--debug``.
"""

from __future__ import annotations

import errno

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The errors of a file system that can hold no more."""


class BuildkitError(Exception):
    """What happened (``brief``), why (``details``) and what to do (``resolution``)."""

    exit_code: int = 1

    def __init__(self, brief: str, *, details: str = "", resolution: str = "") -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.resolution = resolution

    def __str__(self) -> str:
        """Return the parts, one per line, for logs and tests."""
        return "\n".join(part for part in (self.brief, self.details, self.resolution) if part)


class UsageError(BuildkitError):
    """Flags or arguments that contradict each other or name nothing."""

    exit_code = 2


class ConfigError(BuildkitError):
    """``targets.toml``, its lock or an image template is wrong."""

    exit_code = 3


class EnvironmentMissingError(BuildkitError):
    """A tool or service of this machine is missing or unusable: Go, Docker, disk space."""

    exit_code = 4

    @classmethod
    def of_file(cls, brief: str, error: OSError) -> EnvironmentMissingError:
        """Turn an error of the file system into one that says what to do."""
        return cls(
            brief,
            details=f"{error.filename or 'A file'}: {error.strerror or error}",
            resolution="Free some space there and run it again; what is done is kept."
            if error.errno in FULL
            else "Check that place and its permissions, and run it again.",
        )


class BuildError(BuildkitError):
    """A compiler, a Docker build or another step of the build failed."""

    exit_code = 5


class FetchError(BuildkitError):
    """A download failed, was cut, or is not what the lock pins."""

    exit_code = 6


class RegistryError(BuildkitError):
    """A container registry refused or failed."""

    exit_code = 7


class AuthError(RegistryError):
    """A container registry refused the credentials, or none were found."""

    exit_code = 8


class VerificationError(BuildkitError):
    """What was built is not what it should be: smoke run, machine type, read-back."""

    exit_code = 9


class SigningError(BuildkitError):
    """Something was to be signed and cannot be: the key, its password."""

    exit_code = 10


class PublishError(BuildkitError):
    """A place that a release is published to refused or failed, or has something else."""

    exit_code = 11


class CancelledError(BuildkitError):
    """The user or the CI system ended the run."""

    exit_code = 130
