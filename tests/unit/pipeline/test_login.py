"""`registry.login` and `registry.logout` as a user runs them, against the fake registry."""

from __future__ import annotations

import getpass
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke.config import Config
from invoke.program import Program

from buildkit.errors import UsageError
from buildkit.goals import GoalExecutor
from buildkit.pipeline.login import read_password
from buildkit.tasks import make_namespace
from tests.fakes.registry import FakeRegistry, Login


class BareConfig(Config):
    """Without a project's or the system's configuration files."""

    def __init__(self, **given: Any) -> None:
        super().__init__(lazy=True, **given)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry(login=Login(scheme="basic")) as fake:
        yield fake


@pytest.fixture
def config(isolated_user: Path) -> Path:
    return isolated_user / ".docker/config.json"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'schema_version = 1\n[project]\nname = "app"\n[matrix]\nplatforms = ["linux/amd64"]\n'
    (tmp_path / "targets.toml").write_text(text)
    monkeypatch.chdir(tmp_path)


def run(words: str) -> int:
    program = Program(name="meshwright", namespace=make_namespace(), executor_class=GoalExecutor)
    program.config_class = BareConfig
    try:
        program.run(["meshwright", *words.split()])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def pipe(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))


def test_a_login_from_standard_input_is_tried_and_kept(
    registry: FakeRegistry,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pipe(monkeypatch, b"open sesame\n")
    assert run(f"registry.login {registry.host} --username ann --password-stdin") == 0
    assert registry.host in json.loads(config.read_text())["auths"]
    shown = "".join(capfd.readouterr())
    assert f"logged in to {registry.host} as ann; kept by {config}" in shown
    assert "sesame" not in shown
    assert run(f"registry.logout {registry.host}") == 0
    assert json.loads(config.read_text())["auths"] == {}
    assert "removed the login" in "".join(capfd.readouterr())


def test_a_wrong_password_is_one_error_and_nothing_is_written(
    registry: FakeRegistry,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pipe(monkeypatch, b"s3cret\n")
    assert run(f"registry.login {registry.host} --username ann --password-stdin") == 8
    assert not config.exists()
    shown = "".join(capfd.readouterr())
    assert shown.count("error:") == 1
    assert f"{registry.host} refuses the login of ann" in shown
    assert "s3cret" not in shown


def test_a_registry_that_asks_for_no_login_is_told(
    config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, b"any")
    with FakeRegistry() as open_to_all:
        assert run(f"registry.login {open_to_all.host} --username ann --password-stdin") == 0
    assert "the password was not tried" in "".join(capfd.readouterr())
    assert config.exists()


def test_both_tasks_have_a_json_document(
    registry: FakeRegistry,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pipe(monkeypatch, b"open sesame")
    assert run(f"registry.login {registry.host} --username ann --password-stdin --json") == 0
    assert json.loads(capfd.readouterr().out) == {
        "registry": registry.host,
        "username": "ann",
        "place": str(config),
        "checked": True,
    }
    assert run(f"registry.logout {registry.host} --json") == 0
    found = json.loads(capfd.readouterr().out)
    assert found == {"registry": registry.host, "places": [str(config)]}
    assert run(f"registry.logout {registry.host} --json") == 0
    assert json.loads(capfd.readouterr().out)["places"] == []


@pytest.mark.parametrize(
    "case",
    [
        ("", "no user name"),
        ("--username a:b --password-stdin", "no ':'"),
        ("--username ann", "no password"),
        ("--username ann --password-stdin", "password is empty"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_asked(
    registry: FakeRegistry,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    case: tuple[str, str],
) -> None:
    words, message = case
    pipe(monkeypatch, b"\n")
    assert run(f"registry.login {registry.host} {words}") == 2
    assert message in capfd.readouterr().err
    assert registry.seen == []
    assert not config.exists()


def test_a_dry_run_keeps_nothing(registry: FakeRegistry, config: Path) -> None:
    assert run(f"--dry registry.login {registry.host} --username ann --password-stdin") == 0
    assert registry.seen == []
    assert not config.exists()


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_password_is_asked_for() -> None:
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return "typed"

    assert read_password(Terminal(), from_stdin=False, ask=ask) == "typed"
    assert prompts == ["Password: "]


def test_a_terminal_that_would_show_the_password_is_refused() -> None:
    def ask(prompt: str) -> str:
        warnings.warn(prompt, getpass.GetPassWarning, stacklevel=1)
        return "shown"

    with pytest.raises(UsageError, match="would show the password"):
        read_password(Terminal(), from_stdin=False, ask=ask)


def test_the_end_of_input_at_the_prompt_is_no_password() -> None:
    def ask(prompt: str) -> str:
        raise EOFError(prompt)

    with pytest.raises(UsageError, match="empty"):
        read_password(Terminal(), from_stdin=False, ask=ask)


@pytest.mark.parametrize(("given", "expected"), [(b"a b \r\n", "a b "), ("é\n".encode(), "é")])
def test_only_the_last_line_end_is_left_out(given: bytes, expected: str) -> None:
    assert read_password(io.BytesIO(given), from_stdin=True, ask=pytest.fail) == expected


def test_a_password_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        read_password(io.BytesIO(b"\xff"), from_stdin=True, ask=pytest.fail)
