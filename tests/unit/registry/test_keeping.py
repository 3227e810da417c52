"""Credentials written where Docker keeps them, and nothing else of its file changed."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from buildkit.errors import AuthError, ConfigError, EnvironmentMissingError
from buildkit.registry.credentials import DOCKER_HUB_KEY, Credential, DockerCredentials
from buildkit.registry.keeping import CredentialKeeper
from tests.fakes.runner import Call, FakeRunner

ANN = Credential(username="ann", secret="s3cret:with colon é")
OTHERS = {
    "credsThatNobodyKnows": [1, {"a": None}],
    "HttpHeaders": {"X": "y"},
    "psFormat": "{{.ID}}",
}
HOST = "registry.test:5000"


class Helpers(FakeRunner):
    """A runner with helpers that keep what they are given; ``broken`` is an exit status."""

    def __init__(self) -> None:
        super().__init__(self._help)
        self.held: dict[str, dict[str, dict[str, str]]] = {"desk": {}}
        self.broken = 0

    def _help(self, call: Call) -> tuple[int, bytes, bytes]:
        program, verb = call.argv
        text = call.stdin.decode()
        held = self.held.get(program.removeprefix("docker-credential-"))
        if held is None:
            raise EnvironmentMissingError(f"cannot start {program}")
        if self.broken:
            return self.broken, f"locked: {text}".encode(), b""
        if verb == "store":
            value = json.loads(text)
            held[value["ServerURL"]] = value
            return 0, b"", b""
        found = held.pop(text, None) if verb == "erase" else held.get(text)
        if found is None:
            return 1, b"credentials not found in native keychain", b""
        return 0, json.dumps(found).encode(), b""


class Desk:
    """A Docker config and who writes it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.json"
        self.helpers = Helpers()
        self.environ = {"DOCKER_CONFIG": str(folder), "HOME": "/nowhere"}
        self.keeper = CredentialKeeper(environ=self.environ, runner=self.helpers)

    def write(self, **settings: Any) -> None:
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(settings))

    def read(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.path.read_text())
        return value

    def find(self, registry: str) -> Credential | None:
        source = DockerCredentials(environ=self.environ, runner=self.helpers, warn=pytest.fail)
        return source.find(registry, "team/app", push=True)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "docker")


@pytest.mark.parametrize("registry", [HOST, "docker.io", "localhost:5000"])
def test_what_is_kept_is_found_and_then_forgotten(desk: Desk, registry: str) -> None:
    assert desk.keeper.save(registry, ANN) == str(desk.path)
    assert desk.find(registry) == ANN
    assert desk.keeper.remove(registry) == (str(desk.path),)
    assert desk.find(registry) is None
    assert desk.keeper.remove(registry) == ()


def test_the_file_and_its_directory_are_the_users_alone(desk: Desk) -> None:
    desk.keeper.save(HOST, ANN)
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.path.parent.stat().st_mode) == 0o700
    desk.path.chmod(0o644)
    desk.keeper.save("other.test", ANN)
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
    assert [path.name for path in desk.path.parent.iterdir()] == ["config.json"]


def test_everything_else_in_the_file_stays_in_its_order(desk: Desk) -> None:
    auths = {"a.test": {"auth": "YTpi", "extra": 1}, f"{HOST}/team/app": {"auth": "YTpi"}}
    desk.write(**OTHERS, auths=auths, credHelpers={"b.test": "desk"})
    desk.keeper.save(HOST, ANN)
    found = desk.read()
    assert found["auths"].pop(HOST)
    assert found == {**OTHERS, "auths": auths, "credHelpers": {"b.test": "desk"}}
    assert list(found) == [*OTHERS, "auths", "credHelpers"]
    desk.keeper.remove(HOST)
    assert desk.read()["auths"] == auths


@pytest.mark.parametrize(
    ("registry", "old"),
    [(HOST, f"https://{HOST}/v1/"), (HOST, f"http://{HOST}"), ("docker.io", "docker.io")],
)
def test_an_entry_in_another_spelling_is_replaced(desk: Desk, registry: str, old: str) -> None:
    desk.write(auths={old: {"auth": "b2xkOm9sZA=="}})
    desk.keeper.save(registry, ANN)
    assert list(desk.read()["auths"]) == [DOCKER_HUB_KEY if registry == "docker.io" else registry]
    assert desk.find(registry) == ANN


@pytest.mark.parametrize("settings", [{"credsStore": "desk"}, {"credHelpers": {HOST: "desk"}}])
def test_a_configured_helper_gets_the_secret_and_the_file_does_not(
    desk: Desk, settings: dict[str, Any]
) -> None:
    desk.write(**settings)
    before = desk.path.read_bytes()
    assert desk.keeper.save(HOST, ANN) == "docker-credential-desk"
    assert desk.path.read_bytes() == before
    assert desk.find(HOST) == ANN
    # Arguments of a process are everybody's to read.
    assert "s3cret" not in repr([call.argv for call in desk.helpers.calls])
    assert desk.keeper.remove(HOST) == ("docker-credential-desk",)
    assert desk.keeper.remove(HOST) == ()


def test_a_helper_gets_docker_hub_by_its_old_name(desk: Desk) -> None:
    desk.write(credHelpers={DOCKER_HUB_KEY: "desk"})
    desk.keeper.save("docker.io", ANN)
    assert list(desk.helpers.held["desk"]) == [DOCKER_HUB_KEY]
    assert desk.find("docker.io") == ANN


def test_an_old_secret_in_the_file_goes_when_a_helper_takes_over(desk: Desk) -> None:
    desk.write(auths={HOST: {"auth": "b2xkOm9sZA=="}}, credsStore="desk")
    desk.keeper.save(HOST, ANN)
    assert desk.read() == {"auths": {HOST: {}}, "credsStore": "desk"}


@pytest.mark.parametrize("how", ["missing", "failing"])
def test_a_helper_that_does_not_work_is_an_error_and_nothing_is_written(
    desk: Desk, how: str
) -> None:
    desk.write(credsStore="gone" if how == "missing" else "desk", auths={HOST: {"auth": "YTpi"}})
    desk.helpers.broken = 3
    before = desk.path.read_bytes()
    for change in (lambda: desk.keeper.save(HOST, ANN), lambda: desk.keeper.remove(HOST)):
        with pytest.raises(AuthError, match=r"missing|status 3") as caught:
            change()
        assert "s3cret" not in str(caught.value) + repr(caught.value.__cause__)
    assert desk.path.read_bytes() == before


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": []}', "\x00"])
def test_a_file_that_is_none_is_named_and_left_alone(desk: Desk, text: str) -> None:
    desk.write()
    desk.path.write_text(text)
    with pytest.raises(ConfigError, match="cannot be read"):
        desk.keeper.save(HOST, ANN)
    assert desk.path.read_text() == text


def test_a_link_to_the_file_stays_a_link(desk: Desk, tmp_path: Path) -> None:
    real = tmp_path / "settings.json"
    real.write_text("{}")
    desk.path.parent.mkdir()
    desk.path.symlink_to(real)
    desk.keeper.save(HOST, ANN)
    assert desk.path.is_symlink()
    assert HOST in json.loads(real.read_text())["auths"]


def test_an_empty_file_counts_as_one_without_settings(desk: Desk) -> None:
    desk.write()
    desk.path.write_text("")
    desk.keeper.save(HOST, ANN)
    assert desk.find(HOST) == ANN


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {"DOCKER_CONFIG": str(tmp_path / "file/below")}
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        CredentialKeeper(environ=environ, runner=Helpers()).save(HOST, ANN)
    assert "DOCKER_CONFIG" in caught.value.resolution


def test_without_a_home_there_is_no_place() -> None:
    with pytest.raises(EnvironmentMissingError, match="no place for credentials"):
        CredentialKeeper(environ={}, runner=Helpers()).save(HOST, ANN)
