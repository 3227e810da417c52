from __future__ import annotations

import pytest

from buildkit import errors
from buildkit.errors import AuthError, BuildkitError, FetchError, RegistryError

DOCUMENTED_CODES = {
    "BuildkitError": 1,
    "UsageError": 2,
    "ConfigError": 3,
    "EnvironmentMissingError": 4,
    "BuildError": 5,
    "FetchError": 6,
    "RegistryError": 7,
    "AuthError": 8,
    "VerificationError": 9,
    "SigningError": 10,
    "PublishError": 11,
    "CancelledError": 130,
}


def test_every_family_has_the_documented_exit_code_and_no_two_share_one() -> None:
    families = {
        name: value.exit_code
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BuildkitError)
    }
    assert families == DOCUMENTED_CODES
    assert len(set(families.values())) == len(families)


def test_an_error_shows_its_three_parts_one_per_line() -> None:
    error = FetchError("envoy cannot be had", details="404", resolution="Try another version.")
    assert str(error) == "envoy cannot be had\n404\nTry another version."
    assert (error.brief, error.details, error.resolution) == (
        "envoy cannot be had",
        "404",
        "Try another version.",
    )


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "brief"),
        ({"details": "why"}, "brief\nwhy"),
        ({"resolution": "do this"}, "brief\ndo this"),
    ],
)
def test_parts_that_are_missing_leave_no_empty_line(parts: dict[str, str], text: str) -> None:
    assert str(BuildkitError("brief", **parts)) == text


def test_refused_credentials_are_a_registry_error() -> None:
    with pytest.raises(RegistryError):
        raise AuthError("no credentials")
