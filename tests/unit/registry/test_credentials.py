"""Credentials in the files of Docker and Podman, and from helper programs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from buildkit.errors import AuthError, ConfigError, EnvironmentMissingError
from buildkit.registry.credentials import (
    DOCKER_HUB_KEY,
    Credential,
    DockerCredentials,
    credential_files,
)
from tests.fakes.runner import Call, FakeRunner

ANN = Credential(username="ann", secret="s3cret")


class Helpers(FakeRunner):
    """A runner that knows credential helpers by name; a missing one cannot be started."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        super().__init__(self._help)
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    def _help(self, call: Call) -> tuple[int, bytes, bytes]:
        program, verb = call.argv
        assert verb == "get"
        name = program.removeprefix("docker-credential-")
        self.asked.append((name, call.stdin.decode()))
        if name not in self.answers:
            raise EnvironmentMissingError(f"cannot start {program}")
        status, text = self.answers[name]
        return status, text.encode(), b""


class Desk:
    """A home directory with a Docker config, and what was warned of."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.warnings: list[str] = []
        self.helpers = Helpers()
        self.environ = {"HOME": str(home)}

    def docker(self, **settings: Any) -> None:
        write(self.home / ".docker/config.json", settings)

    def find(
        self, registry: str, repository: str = "team/app", *, push: bool = False
    ) -> Credential | None:
        source = DockerCredentials(
            environ=self.environ, runner=self.helpers, warn=self.warnings.append
        )
        return source.find(registry, repository, push=push)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def pair(username: str, secret: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{secret}".encode()).decode()}


def answer(username: str, secret: str) -> tuple[int, str]:
    return 0, json.dumps({"ServerURL": "x", "Username": username, "Secret": secret})


def test_without_any_file_there_are_no_credentials(desk: Desk) -> None:
    assert desk.find("ghcr.io") is None
    assert desk.warnings == []


@pytest.mark.parametrize(
    "key", ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v1/", "https://ghcr.io/v2/"]
)
def test_auths_are_found_under_every_spelling_of_the_registry(desk: Desk, key: str) -> None:
    desk.docker(auths={key: pair("ann", "s3cret"), "other.io": pair("eve", "x")})
    assert desk.find("ghcr.io") == ANN


def test_a_secret_may_hold_colons(desk: Desk) -> None:
    desk.docker(auths={"ghcr.io": pair("ann", "a:b:c")})
    assert desk.find("ghcr.io") == Credential(username="ann", secret="a:b:c")


def test_user_and_password_may_stand_in_clear(desk: Desk) -> None:
    desk.docker(auths={"ghcr.io": {"username": "ann", "password": "s3cret"}})
    assert desk.find("ghcr.io") == ANN


def test_another_port_is_another_registry(desk: Desk) -> None:
    desk.docker(auths={"ghcr.io:8443": pair("ann", "s3cret")})
    assert desk.find("ghcr.io") is None
    assert desk.find("ghcr.io:8443") == ANN


@pytest.mark.parametrize("key", [DOCKER_HUB_KEY, "docker.io", "index.docker.io"])
def test_docker_hub_has_several_names(desk: Desk, key: str) -> None:
    desk.docker(auths={key: pair("ann", "s3cret")})
    assert desk.find("docker.io", "library/debian") == ANN


def test_an_identity_token_is_marked_as_one(desk: Desk) -> None:
    desk.docker(auths={"ghcr.io": {**pair("ann", ""), "identitytoken": "tok"}})
    found = desk.find("ghcr.io")
    assert found == Credential(username="ann", secret="tok", is_identity_token=True)


def test_an_empty_entry_left_by_a_store_is_none(desk: Desk) -> None:
    desk.docker(auths={"ghcr.io": {}})
    assert desk.find("ghcr.io") is None


def test_the_helper_of_a_registry_comes_before_the_store_and_the_store_before_auths(
    desk: Desk,
) -> None:
    desk.helpers = Helpers(gh=answer("helper", "1"), keychain=answer("store", "2"))
    desk.docker(
        credHelpers={"ghcr.io": "gh"},
        credsStore="keychain",
        auths={"ghcr.io": pair("auths", "3"), "quay.io": pair("auths", "3")},
    )
    assert desk.find("ghcr.io") == Credential(username="helper", secret="1")
    assert desk.find("quay.io") == Credential(username="store", secret="2")
    assert desk.helpers.asked == [("gh", "ghcr.io"), ("keychain", "quay.io")]


def test_a_store_is_asked_for_docker_hub_by_its_old_name(desk: Desk) -> None:
    desk.helpers = Helpers(desktop=answer("ann", "s3cret"))
    desk.docker(credsStore="desktop")
    assert desk.find("docker.io", "library/debian") == ANN
    assert desk.helpers.asked == [("desktop", DOCKER_HUB_KEY)]


def test_a_store_that_does_not_know_the_registry_leaves_it_to_auths(desk: Desk) -> None:
    desk.helpers = Helpers(keychain=(1, "credentials not found in native keychain\n"))
    desk.docker(credsStore="keychain", auths={"ghcr.io": pair("ann", "s3cret")})
    assert desk.find("ghcr.io", push=True) == ANN
    assert desk.warnings == []


def test_a_helper_can_give_an_identity_token(desk: Desk) -> None:
    desk.helpers = Helpers(acr=answer("<token>", "tok"))
    desk.docker(credHelpers={"a.azurecr.io": "acr"})
    found = desk.find("a.azurecr.io")
    assert found is not None
    assert found.is_identity_token


BROKEN = {
    "missing": {},
    "failing": {"gone": (1, "s3cret: cannot unlock")},
    "talking nonsense": {"gone": (0, "s3cret")},
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_helper_that_does_not_work_is_a_warning_for_a_pull(desk: Desk, how: str) -> None:
    desk.helpers = Helpers(**BROKEN[how])
    desk.docker(credsStore="gone")
    assert desk.find("ghcr.io") is None
    (warning,) = desk.warnings
    assert "docker-credential-gone" in warning
    assert "s3cret" not in warning


@pytest.mark.parametrize("how", BROKEN)
def test_a_helper_that_does_not_work_is_an_error_for_a_push(desk: Desk, how: str) -> None:
    desk.helpers = Helpers(**BROKEN[how])
    desk.docker(credsStore="gone")
    with pytest.raises(AuthError, match="docker-credential-gone") as caught:
        desk.find("ghcr.io", push=True)
    assert "credsStore" in caught.value.resolution
    assert "s3cret" not in str(caught.value)


def test_a_helper_is_asked_once(desk: Desk) -> None:
    desk.helpers = Helpers()
    desk.docker(credsStore="gone")
    source = DockerCredentials(environ=desk.environ, runner=desk.helpers, warn=desk.warnings.append)
    for _ in range(3):
        assert source.find("ghcr.io", "a", push=False) is None
    assert len(desk.helpers.asked) == len(desk.warnings) == 1


def test_podmans_entry_for_a_repository_comes_before_that_of_the_registry(desk: Desk) -> None:
    runtime = desk.home / "run"
    desk.environ["XDG_RUNTIME_DIR"] = str(runtime)
    auths = {"quay.io": pair("all", "1"), "quay.io/team": pair("team", "2")}
    write(runtime / "containers/auth.json", {"auths": auths})
    assert desk.find("quay.io", "team/app") == Credential(username="team", secret="2")
    assert desk.find("quay.io", "teams/app") == Credential(username="all", secret="1")


def test_the_first_file_that_has_credentials_wins(desk: Desk) -> None:
    files = {
        "docker/config.json": {"auths": {"a.io": pair("docker", "1")}},
        "named.json": {"auths": {"a.io": pair("named", "2"), "b.io": pair("named", "2")}},
        "run/containers/auth.json": {"auths": {"b.io": pair("run", "3"), "c.io": pair("run", "3")}},
        ".config/containers/auth.json": {"auths": {"d.io": pair("home", "4")}},
    }
    for name, value in files.items():
        write(desk.home / name, value)
    desk.environ |= {
        "DOCKER_CONFIG": str(desk.home / "docker"),
        "REGISTRY_AUTH_FILE": str(desk.home / "named.json"),
        "XDG_RUNTIME_DIR": str(desk.home / "run"),
    }
    assert credential_files(desk.environ) == tuple(desk.home / name for name in files)
    users = [found.username for host in "abcd" if (found := desk.find(f"{host}.io"))]
    assert users == ["docker", "named", "run", "home"]


@pytest.mark.parametrize("text", ["{", '{"auths": 3}', "\udcff"])
def test_a_file_that_is_no_such_file_is_named(desk: Desk, text: str) -> None:
    path = desk.home / ".docker/config.json"
    path.parent.mkdir()
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=r"config\.json"):
        desk.find("ghcr.io")


def test_an_auth_that_is_not_base64_is_an_error_that_does_not_show_it(desk: Desk) -> None:
    desk.docker(auths={"ghcr.io": {"auth": "s3cret"}})
    with pytest.raises(ConfigError, match="not base64") as caught:
        desk.find("ghcr.io")
    assert "s3cret" not in str(caught.value)


def test_other_settings_of_docker_are_ignored(desk: Desk) -> None:
    desk.docker(
        currentContext="colima", psFormat="x", auths={"ghcr.io": {**pair("ann", "s3cret"), "x": 1}}
    )
    assert desk.find("ghcr.io") == ANN
