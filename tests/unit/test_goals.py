"""Tasks of one call become one graph, with the flags of all; what ends a call, and how."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from invoke.collection import Collection
from invoke.executor import Executor
from invoke.program import Program
from invoke.tasks import Task

from buildkit import tasks
from buildkit.errors import RegistryError
from buildkit.goals import GoalExecutor
from buildkit.pipeline import check, doctoring, explaining, locking, run, smoking, watching
from buildkit.pipeline.report import print_json
from buildkit.plan.options import Goal, Options
from tests.fakes.bare_config import BareConfig

BUILD, DOCKER, ENVOY = Goal.BUILD, Goal.DOCKER, Goal.ENVOY


@dataclass
class Pipeline:
    """Stands for what the tasks call, and notes each call."""

    calls: list[tuple[str, tuple[Goal, ...], Options]] = field(default_factory=list)
    failure: BaseException | None = None

    def run(self, goals: frozenset[Goal], options: Options) -> None:
        self._note("run", goals, options)

    def show_plan(self, goals: frozenset[Goal], options: Options) -> None:
        self._note("plan", goals, options)

    def watch(self, goals: frozenset[Goal], options: Options) -> None:
        self._note("watch", goals, options)

    def action(self, name: str) -> Callable[[Options], None]:
        return lambda options: self._note(name, frozenset(), options)

    def _note(self, name: str, goals: frozenset[Goal], options: Options) -> None:
        self.calls.append((name, tuple(sorted(goals)), options))
        if options.json:
            print_json({"made by": name})
        if self.failure is not None:
            raise self.failure

    @property
    def order(self) -> list[tuple[str, tuple[Goal, ...]]]:
        return [(name, goals) for name, goals, _ in self.calls]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    made = Pipeline()
    monkeypatch.setattr(run, "run", made.run)
    monkeypatch.setattr(run, "show_plan", made.show_plan)
    monkeypatch.setattr(watching, "watch", made.watch)
    monkeypatch.setattr(smoking, "run_smoke", made.action("smoke"))
    monkeypatch.setattr(check, "clean_out", made.action("clean"))
    monkeypatch.setattr(check, "check_project", made.action("check"))
    monkeypatch.setattr(locking, "write_lock", made.action("lock"))
    before = signal.getsignal(signal.SIGTERM)
    yield made
    assert signal.getsignal(signal.SIGTERM) is before


def call(words: str, executor: type[Executor] = GoalExecutor) -> int:
    """Run the program as from a shell and return its exit status."""
    program = Program(name="meshwright", namespace=tasks.make_namespace(), executor_class=executor)
    program.config_class = BareConfig
    try:
        program.run(["meshwright", *words.split()])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_tasks_of_one_call_are_one_graph(pipeline: Pipeline) -> None:
    assert call("build docker envoy") == 0
    assert pipeline.order == [("run", (BUILD, DOCKER, ENVOY))]


def test_flags_given_to_one_task_hold_for_all(pipeline: Pipeline) -> None:
    assert call("build --jobs 3 docker --tag 1.2 --no-push") == 0
    assert [options for _, _, options in pipeline.calls] == [Options(jobs=3, tag="1.2", push=False)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("build --tag x docker --tag y", "--tag is given twice: 'x' and 'y'"),
        ("build --push docker --no-push", "--push and --no-push are both given"),
        ("docker --push --no-push", "--push and --no-push contradict each other"),
    ],
)
def test_a_contradiction_starts_nothing(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert call(words) == 2
    assert message in capsys.readouterr().err
    assert pipeline.calls == []


@pytest.mark.parametrize(
    "words", ["watch docker envoy", "docker watch envoy", "envoy docker watch"]
)
def test_a_watch_takes_the_goals_of_the_whole_call(pipeline: Pipeline, words: str) -> None:
    assert call(f"{words} --exec roll --only pilot") == 0
    assert pipeline.calls == [("watch", (DOCKER, ENVOY), Options(exec="roll", only="pilot"))]


@pytest.mark.parametrize("executor", [GoalExecutor, Executor])
def test_a_watch_alone_says_so_by_no_goals(pipeline: Pipeline, executor: type[Executor]) -> None:
    assert call("watch --jobs 1", executor) == 0
    assert pipeline.calls == [("watch", (), Options(jobs=1))]


def test_other_tasks_come_before_a_watch(pipeline: Pipeline) -> None:
    assert call("build clean watch --exec x") == 0
    assert pipeline.order == [("run", (BUILD,)), ("clean", ()), ("watch", ())]


@pytest.mark.parametrize("words", ["watch smoke", "docker watch plan"])
def test_nothing_else_can_follow_a_watch(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    assert call(words) == 2
    assert "only tasks that make something can follow `watch`" in capsys.readouterr().err
    assert pipeline.calls == []


@pytest.mark.parametrize("words", ["docker --exec x", "plan --exec x", "smoke --exec x"])
def test_a_command_without_a_watch_is_refused(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    assert call(words) == 2
    assert "--exec belongs to `watch`" in capsys.readouterr().err
    assert pipeline.calls == []


def test_what_is_no_goal_comes_after_the_goals_before_it(pipeline: Pipeline) -> None:
    assert call("docker smoke clean build") == 0
    assert pipeline.order == [("run", (DOCKER,)), ("smoke", ()), ("clean", ()), ("run", (BUILD,))]


@pytest.mark.parametrize("words", ["docker envoy plan", "docker plan envoy", "plan docker envoy"])
def test_a_plan_is_shown_instead_of_carried_out(pipeline: Pipeline, words: str) -> None:
    assert call(words) == 0
    assert pipeline.order == [("plan", (DOCKER, ENVOY))]


@pytest.mark.parametrize("executor", [GoalExecutor, Executor])
def test_a_plan_alone_says_so_by_no_goals(pipeline: Pipeline, executor: type[Executor]) -> None:
    assert call("plan", executor) == 0
    assert pipeline.order == [("plan", ())]


def test_after_a_plan_nothing_is_carried_out(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan clean check docker") == 0
    assert pipeline.order == [("plan", ()), ("check", ()), ("plan", (DOCKER,))]
    assert "would remove out/" in capsys.readouterr().err


def test_what_looks_at_the_goals_of_a_call_looks_at_the_same(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[frozenset[Goal]] = []
    monkeypatch.setattr(explaining, "show_graph", lambda goals, _: seen.append(goals))
    monkeypatch.setattr(doctoring, "show_health", lambda goals, _: seen.append(goals))
    assert call("plan graph docker doctor") == 0
    assert pipeline.order == [("plan", (DOCKER,))]
    assert seen == [{DOCKER}, {DOCKER}]


def test_a_plan_and_a_watch_are_two_calls(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan watch docker") == 2
    assert "Call them one after another" in capsys.readouterr().err
    assert pipeline.calls == []


def test_invokes_dry_is_ours(pipeline: Pipeline) -> None:
    assert call("--dry build") == 0
    assert [options for _, _, options in pipeline.calls] == [Options(dry_run=True)]


@pytest.mark.parametrize("words", ["--dry clean", "--dry lock", "--dry smoke", "smoke --dry-run"])
def test_a_dry_run_says_what_it_would_change(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    assert call(words) == 0
    assert pipeline.calls == []
    assert capsys.readouterr().err.startswith("would ")


def test_a_dry_run_does_what_changes_nothing(pipeline: Pipeline) -> None:
    assert call("--dry check") == 0
    assert pipeline.order == [("check", ())]


@pytest.mark.parametrize("flag", ["-w", "-p", "--hide=out", "-e", "-T 5"])
def test_an_invoke_flag_without_a_meaning_here_is_refused(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    assert call(f"{flag} build") == 2
    first, *_ = capsys.readouterr().err.splitlines()
    assert first.endswith("has no meaning for these tasks")
    assert pipeline.calls == []


def test_a_configuration_for_invoke_that_does_not_exist_is_refused(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--config nope.yaml build") == 2
    assert capsys.readouterr().err == "error: --config nope.yaml: there is no such file\n"
    assert pipeline.calls == []


def test_settings_of_other_tasks_are_no_flags(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOKE_RUN_ECHO", "1")
    assert call("build") == 0
    assert pipeline.order == [("run", (BUILD,))]


def test_under_another_executor_each_task_is_a_graph_of_its_own(pipeline: Pipeline) -> None:
    assert call("build --jobs 2 docker", Executor) == 0
    assert [(goals, options.jobs) for _, goals, options in pipeline.calls] == [
        ((BUILD,), 2),
        ((DOCKER,), None),
    ]


def test_dry_holds_under_another_executor_too(pipeline: Pipeline) -> None:
    assert call("--dry build clean", Executor) == 0
    assert [options.dry_run for _, _, options in pipeline.calls] == [True]


def test_json_is_one_document(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("build docker --json") == 0
    assert pipeline.order == [("run", (BUILD, DOCKER))]
    assert json.loads(capsys.readouterr().out) == {"made by": "run"}


@pytest.mark.parametrize(
    ("words", "documents"),
    [
        ("docker smoke --json", [{"made by": "run"}, {"made by": "smoke"}]),
        ("--dry docker clean --json", [{"made by": "run"}, {"would": "remove out/"}]),
    ],
)
def test_json_of_several_tasks_is_one_document_too(
    pipeline: Pipeline,
    capsys: pytest.CaptureFixture[str],
    words: str,
    documents: list[dict[str, str]],
) -> None:
    assert call(words) == 0
    assert json.loads(capsys.readouterr().out) == {"documents": documents}
    assert pipeline.calls


def test_a_failure_has_its_document_and_its_exit_status(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.failure = RegistryError("it refused", resolution="log in")
    assert call("docker smoke --json") == 7
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"made by": "run"}
    assert captured.err == "error: it refused\n  -> log in\n"
    assert pipeline.order == [("run", (DOCKER,))]


def test_on_github_the_error_that_ends_a_call_is_an_annotation(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    pipeline.failure = RegistryError("it refused")
    assert call("docker") == 7
    assert capsys.readouterr().err == "::error::it refused\nerror: it refused\n"


@pytest.mark.parametrize("executor", [GoalExecutor, Executor])
def test_a_traceback_is_for_debug(
    pipeline: Pipeline,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    executor: type[Executor],
) -> None:
    # Invoke's --debug sets the level of a root logger that has no handler, unlike pytest's.
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    pipeline.failure = RegistryError("it refused")
    call("build", executor)
    assert "Traceback" not in capsys.readouterr().err
    call("--debug build", executor)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "Free some"), (errno.EIO, "--debug")])
def test_an_error_of_the_disk_says_what_helps(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], number: int, words: str
) -> None:
    pipeline.failure = OSError(number, os.strerror(number), "/disk/out")
    assert call("build") == 4
    said = capsys.readouterr().err
    assert said.startswith(f"error: /disk/out: {os.strerror(number)}\n")
    assert words in said


def test_ctrl_c_anywhere_ends_with_130(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.failure = KeyboardInterrupt()
    assert call("lock") == 130
    assert capsys.readouterr().err.startswith("error: stopped by the user\n")


def test_sigterm_is_ctrl_c(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoking, "run_smoke", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert call("smoke build") == 130
    assert pipeline.calls == []


def test_what_the_system_refuses_is_no_traceback(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.failure = PermissionError(13, "Permission denied", "/root/out")
    assert call("build") == 4
    assert capsys.readouterr().err.splitlines()[0] == "error: /root/out: Permission denied"


def test_a_defect_of_ours_comes_out_as_it_is(pipeline: Pipeline) -> None:
    pipeline.failure = ZeroDivisionError("a defect")
    with pytest.raises(ZeroDivisionError, match="a defect"):
        call("build")


def test_tasks_of_a_project_run_beside_ours(pipeline: Pipeline) -> None:
    ran = []

    def own(_context: object) -> None:
        ran.append(len(pipeline.calls))

    namespace = Collection(tasks.build, Task(own, name="own"))
    program = Program(name="other", namespace=namespace, executor_class=GoalExecutor)
    program.run(["other", "build", "own"], exit=False)
    assert ran == [0]
    assert pipeline.order == [("run", (BUILD,))]


def test_explaining_comes_after_what_stands_before_it_and_has_its_own_unit(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Options]] = []
    monkeypatch.setattr(
        explaining, "show_explanation", lambda options, unit: asked.append((unit, options))
    )
    assert call("build explain app@linux/arm64 --tag 1 explain push/app") == 0
    assert pipeline.order == [("run", (BUILD,))]
    assert asked == [(unit, Options(tag="1")) for unit in ("app@linux/arm64", "push/app")]


def test_the_graph_is_of_the_goals_of_the_call(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[frozenset[Goal]] = []
    monkeypatch.setattr(explaining, "show_graph", lambda goals, _: asked.append(goals))
    assert call("docker graph") == 0
    assert asked == [frozenset({DOCKER})]
    assert pipeline.calls == []
    assert call("plan graph docker") == 0
    assert asked[1:] == [frozenset({DOCKER})]
    assert pipeline.order == [("plan", (DOCKER,))]


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_pipe_that_nobody_reads_ends_the_call_quietly(
    name: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    pipeline.failure = None if name == "stdout" else RegistryError("it is gone")
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, name, stream)
        words = "check --json" if name == "stdout" else "clean"
        assert call(words) == 128 + signal.SIGPIPE
        stream.write("nor does the end of the program complain")


def test_a_pipe_of_something_else_that_breaks_is_an_error(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.failure = BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert call("check") == 4
    assert "Broken pipe" in capsys.readouterr().err
