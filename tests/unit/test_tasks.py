"""The flags of every task, and how they are read."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from invoke.parser import Parser
from invoke.parser.argument import Argument
from msgspec.structs import fields

from buildkit.errors import UsageError
from buildkit.flags import read_options, read_words
from buildkit.plan.options import Options
from buildkit.tasks import make_namespace

CONTEXTS = make_namespace().to_contexts()
TASKS = {str(context.name): context for context in CONTEXTS}
EVERYTHING = ("build", "docker", "envoy", "plan", "smoke", "watch")


def options(words: str) -> Options:
    """Read a command line as Invoke does."""
    (call,) = Parser(contexts=CONTEXTS).parse_argv(shlex.split(words))
    given = {name.replace("-", "_"): argument.value for name, argument in call.args.items()}
    return read_options(given)


def test_no_flag_is_a_default() -> None:
    for name in EVERYTHING:
        assert options(name) == Options()


def test_promote_takes_two_words_and_its_own_flags() -> None:
    (call,) = Parser(contexts=CONTEXTS).parse_argv(["promote", "localhost:5000", "b.com/x"])
    assert (call.args["src"].value, call.args["dst"].value) == ("localhost:5000", "b.com/x")
    found = options("promote a b --tag 1 --new-tag 2,3 --as-is --no-clobber --only pilot -n")
    assert found == Options(
        tag="1", new_tag="2,3", as_is=True, no_clobber=True, only="pilot", dry_run=True
    )


def test_every_option_has_a_flag_and_every_flag_of_a_build_an_option() -> None:
    known = {item.name for item in fields(Options)}
    flags = {name: set(map(option_of, context.args.values())) for name, context in TASKS.items()}
    assert known <= set().union(*flags.values())
    assert set().union(*(flags[name] for name in EVERYTHING)) <= known


def test_a_word_of_a_task_is_not_taken_for_a_flag() -> None:
    known = {item.name for item in fields(Options)}
    words = {arg.name for context in CONTEXTS for arg in context.positional_args}
    assert {"parts", "subject", "unit"} <= words
    assert words.isdisjoint(known)


def option_of(argument: Argument) -> str:
    name = str(argument.name).replace("-", "_")
    return name.removeprefix("no_") if name in {"no_push", "no_load"} else name


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--platform linux/arm64,darwin/arm64", {"platform": "linux/arm64,darwin/arm64"}),
        ("-p host", {"platform": "host"}),
        ("--set a.b=1 --set c=2,3", {"set": ("a.b=1", "c=2,3")}),
        ("--only pilot-agent,istioctl", {"only": "pilot-agent,istioctl"}),
        ("--targets a.toml --source b --out c", {"targets": "a.toml", "source": "b", "out": "c"}),
        ("--hub h:1/x --tag 1,2", {"hub": "h:1/x", "tag": "1,2"}),
        ("--version 1.2.3", {"version": "1.2.3"}),
        ("--jobs 4", {"jobs": 4}),
        ("-j 4", {"jobs": 4}),
        ("-j 0", {"jobs": 0}),
        (
            "--envoy e --envoy f:1 --debian-archive u",
            {"envoy": ("e", "f:1"), "debian_archive": "u"},
        ),
        ("--engine oci", {"engine": "oci"}),
        ("--push", {"push": True}),
        ("--no-push --no-load", {"push": False, "load": False}),
        ("--no-clobber", {"no_clobber": True}),
        ("--layout --save oci-archive", {"layout": True, "save": "oci-archive"}),
        ("--stamp --symbols --force", {"stamp": True, "symbols": True, "force": True}),
        ("--offline --fail-fast", {"offline": True, "fail_fast": True}),
        ("-n -q", {"dry_run": True, "quiet": True}),
        ("--dry-run --json --quiet", {"dry_run": True, "json": True, "quiet": True}),
        ("--exec 'x y'", {"exec": "x y"}),
        ("--hub=", {"hub": ""}),
    ],
)
def test_flags_become_options(words: str, expected: dict[str, Any]) -> None:
    assert options(f"docker {words}") == Options(**expected)


def test_a_flag_and_its_opposite_are_refused() -> None:
    with pytest.raises(UsageError, match="--push and --no-push contradict each other"):
        options("docker --no-push --push")


@pytest.mark.parametrize("text", ["x", "", "1.5"])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"--jobs {text}: a number is needed"):
        options(f"docker --jobs={text}")


def test_a_flag_where_a_word_should_be_is_refused() -> None:
    with pytest.raises(UsageError, match="verify needs its subject before --help") as found:
        read_words("verify", ("subject",), {"subject": "--help"})
    assert "--help before the task" in found.value.resolution
    assert read_words("verify", ("subject",), {"subject": "dist", "key": "-"}) == {
        "subject": "dist"
    }


def test_every_flag_says_what_it_is_for() -> None:
    for context in CONTEXTS:
        for argument in context.args.values():
            assert argument.help, f"{context.name} --{argument.name}"


def test_no_flag_is_one_that_invoke_owns_with_another_meaning() -> None:
    for context in CONTEXTS:
        names = {name for argument in context.args.values() for name in argument.names}
        assert not names & {"config", "debug", "dry", "echo", "warn-only", "hide", "pty"}


def test_a_login_names_its_registry_by_place_and_takes_no_password() -> None:
    found = options("registry.login localhost:5000 --username ann --password-stdin")
    assert found == Options(username="ann", password_stdin=True)
    given = {argument.name: argument for argument in TASKS["registry.login"].args.values()}
    assert given["host"].positional
    assert "password" not in given
