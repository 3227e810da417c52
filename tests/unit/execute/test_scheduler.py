"""One ready set: order, lanes, limits, failures, early cutoff, cancelling."""

from __future__ import annotations

import errno
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import BuildError, CancelledError, EnvironmentMissingError, RegistryError
from buildkit.execute.batches import make_batches
from buildkit.execute.outcomes import Status
from buildkit.plan.planner import Plan
from buildkit.plan.units import Artifact, Kind, Progress, Step, Verdict
from tests.fakes.units import artifact, binary, compile_action, push, running
from tests.unit.execute.site import ARM, ONE, TWO, A, B, Site, compiled, statuses


def test_every_unit_is_made_after_what_it_needs_and_gets_it(site: Site) -> None:
    steps = (compiled("a"), site.image("one", A), site.image("two", ONE, A))
    outcomes = site.run(*steps, running(push("x", (ONE, TWO))))
    assert [outcome.unit.id for outcome in outcomes] == [A, ONE, TWO, "push/x"]
    assert {outcome.status for outcome in outcomes} == {Status.DONE}
    assert site.smith.order == [A, ONE, TWO, "push/x"]
    assert site.smith.given == {A: [], ONE: [A], TWO: [A, ONE], "push/x": [ONE, TWO]}
    assert [outcome.artifact and outcome.artifact.digest for outcome in outcomes] == [
        f"sha256:{identity}" for identity in site.smith.order
    ]
    assert site.recorded() == sorted(site.smith.order)


def test_units_of_one_group_and_platform_are_one_batch(site: Site) -> None:
    site.run(compiled("a"), compiled("b"), compiled("c", "agent"), compiled("d", platform=ARM))
    assert sorted(site.smith.batches) == [
        (A, B),
        ("binary/c@linux/amd64",),
        ("binary/d@linux/arm64",),
    ]
    assert "start compile/default@linux/amd64" in site.journal.lines
    assert "done compile/default@linux/amd64 (never made here)" in site.journal.lines


def test_a_batch_whose_units_have_different_reasons_is_reported_once(site: Site) -> None:
    other = replace(compiled("b"), reason="b.go changed")
    site.run(compiled("a"), other)
    assert site.journal.lines == [
        "start compile/default@linux/amd64",
        "done compile/default@linux/amd64 (never made here, and 1 more reasons)",
    ]


def test_compiles_of_one_platform_never_run_at_once(site: Site) -> None:
    site.run(*(compiled(name, name) for name in "abcd"))
    assert site.smith.most == 1


def test_compiles_of_two_platforms_run_at_once(site: Site) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet(_progress: Progress) -> None:
        meeting.wait()

    site.smith.acts = {A: meet, "binary/b@linux/arm64": meet}
    outcomes = site.run(compiled("a"), compiled("b", platform=ARM))
    assert {outcome.status for outcome in outcomes} == {Status.DONE}


def test_a_limit_holds_per_kind(site: Site) -> None:
    site.limits[Kind.IMAGE] = 2
    base = artifact("base/x", "sha256:x")
    steps = [site.image(str(number), "base/x") for number in range(8)]
    site.run(*steps, made={"base/x": base})
    assert len(site.smith.order) == 8
    assert site.smith.most == 2


def test_a_failure_aborts_what_needs_it_and_everything_else_finishes(site: Site) -> None:
    site.fail(A)
    steps = (compiled("a"), compiled("b", platform=ARM), site.image("one", A))
    outcomes = site.run(*steps, running(push("x", (ONE,))))
    assert statuses(outcomes) == {
        A: (Status.FAILED, "it did not compile"),
        "binary/b@linux/arm64": (Status.DONE, "never made here"),
        ONE: (Status.ABORTED, f"{A} failed"),
        "push/x": (Status.ABORTED, f"{ONE} was not made"),
    }
    assert isinstance(outcomes[0].error, BuildError)
    assert outcomes[2].error is None
    assert site.recorded() == ["binary/b@linux/arm64"]
    assert not site.cancelled.is_set()


def test_all_units_of_a_failed_batch_share_one_error(site: Site) -> None:
    site.fail(B)
    one, two = site.run(compiled("a"), compiled("b"))
    assert one.error is two.error is not None
    assert site.recorded() == []


def test_a_full_disk_is_the_failure_of_what_it_stopped(site: Site) -> None:
    site.fail(A, OSError(errno.ENOSPC, "No space left on device", "/small"))
    outcomes = site.run(compiled("a"), site.image("one", A))
    assert statuses(outcomes) == {
        A: (Status.FAILED, "compile/default@linux/amd64 cannot be made here"),
        ONE: (Status.ABORTED, f"{A} failed"),
    }
    error = outcomes[0].error
    assert isinstance(error, EnvironmentMissingError)
    assert error.details == "/small: No space left on device"
    assert error.resolution.startswith("Free some space")


def test_fail_fast_starts_nothing_more(site: Site) -> None:
    site.fail_fast = True
    site.limits[Kind.BINARY] = 1
    site.fail(A)
    outcomes = site.run(compiled("a"), compiled("b", platform=ARM), site.image("one", A))
    reason = f"--fail-fast, after {A}"
    assert statuses(outcomes) == {
        A: (Status.FAILED, "it did not compile"),
        "binary/b@linux/arm64": (Status.ABORTED, reason),
        ONE: (Status.ABORTED, reason),
    }
    assert site.smith.order == [A]


@pytest.mark.timeout(30)
def test_fail_fast_ends_what_is_running_and_calls_it_aborted(site: Site) -> None:
    site.fail_fast = True
    child, stream, done = (threading.Event() for _ in range(3))
    arm, fetched = "binary/b@linux/arm64", "image/one@linux/amd64"

    def wait(_progress: Progress) -> None:
        child.set()
        assert site.cancelled.wait(10)
        raise CancelledError("go was stopped")

    def report(progress: Progress) -> None:
        stream.set()
        while not done.wait(0.005):
            progress("more")

    def fail(_progress: Progress) -> None:
        assert child.wait(10)
        assert stream.wait(10)
        raise BuildError("it did not compile")

    site.smith.acts = {A: fail, arm: wait, fetched: report}
    made = {"base/x": artifact("base/x")}
    try:
        outcomes = site.run(
            compiled("a"),
            compiled("b", platform=ARM),
            site.image("one", "base/x"),
            running(push("x", (fetched,))),
            made=made,
        )
    finally:
        done.set()
    reason = f"--fail-fast, after {A}"
    assert statuses(outcomes) == {
        A: (Status.FAILED, "it did not compile"),
        arm: (Status.ABORTED, reason),
        fetched: (Status.ABORTED, reason),
        "push/x": (Status.ABORTED, reason),
    }
    assert [outcome.error is None for outcome in outcomes] == [False, True, True, True]
    assert min(outcome.seconds for outcome in outcomes[1:3]) > 0
    assert site.recorded() == []
    assert f"aborted {fetched} ({reason})" in site.journal.lines


@pytest.mark.timeout(30)
def test_what_ends_well_in_spite_of_fail_fast_is_kept(site: Site) -> None:
    site.fail_fast = True
    arm, begun = "binary/b@linux/arm64", threading.Event()

    def end_well(_progress: Progress) -> None:
        begun.set()
        until(site.cancelled.is_set)

    def fail(_progress: Progress) -> None:
        assert begun.wait(10)
        raise BuildError("it did not compile")

    site.smith.acts = {A: fail, arm: end_well}
    outcomes = site.run(compiled("a"), compiled("b", platform=ARM))
    assert [outcome.status for outcome in outcomes] == [Status.FAILED, Status.DONE]
    assert site.recorded() == [arm]


def test_without_fail_fast_what_was_stopped_from_outside_is_a_failure(site: Site) -> None:
    site.fail(A, CancelledError("go was stopped"))
    outcomes = site.run(compiled("a"), compiled("b", platform=ARM))
    assert [outcome.status for outcome in outcomes] == [Status.FAILED, Status.DONE]


def test_what_the_plan_settled_keeps_its_verdict(site: Site) -> None:
    steps = [
        replace(compiled(name), verdict=verdict, reason=str(verdict))
        for name, verdict in (("a", Verdict.CACHED), ("b", Verdict.SKIP), ("c", Verdict.BLOCKED))
    ]
    outcomes = site.run(*steps, site.image("one", A), made={A: artifact(A)})
    assert [outcome.status for outcome in outcomes] == [
        Status.CACHED,
        Status.SKIPPED,
        Status.BLOCKED,
        Status.DONE,
    ]
    assert outcomes[0].artifact == artifact(A)
    assert site.smith.order == [ONE]


def test_a_need_that_came_out_the_same_cuts_off_its_users(site: Site) -> None:
    steps = (compiled("a"), site.image("one", A), running(push("x", (ONE,))))
    site.run(*steps)
    site.smith.batches.clear()
    site.journal.lines.clear()
    outcomes = site.run(*steps)
    assert site.smith.order == [A]
    assert statuses(outcomes)[ONE] == (Status.CACHED, "what it needs came out the same")
    assert statuses(outcomes)["push/x"][0] is Status.CACHED
    assert f"start {ONE}" not in site.journal.lines
    site.smith.digests[A] = "sha256:other"
    assert statuses(site.run(*steps))[ONE][0] is Status.DONE


def test_an_error_while_asking_whether_something_can_be_reused_is_that_units_failure(
    site: Site,
) -> None:
    steps = (compiled("a"), site.image("one", A), compiled("b", platform=ARM))
    site.run(*steps)
    site.absent = RegistryError("the registry does not answer")
    outcomes = site.run(*steps)
    assert statuses(outcomes)[ONE] == (Status.FAILED, "the registry does not answer")
    assert statuses(outcomes)["binary/b@linux/arm64"][0] is Status.DONE


def test_what_changed_while_it_was_built_is_done_but_not_recorded(site: Site) -> None:
    site.smith.untrusted = {A}
    outcomes = site.run(compiled("a"), compiled("b"))
    assert {outcome.status for outcome in outcomes} == {Status.DONE}
    assert site.recorded() == [B]


@pytest.mark.parametrize("ends", [["FROM base\nUSER 1"], ["FROM base\nUSER 1", "FROM base"]])
def test_what_was_edited_while_it_was_used_is_claimed_by_no_record(
    site: Site, ends: list[str]
) -> None:
    def edit(_progress: Progress) -> None:
        for text in ends:
            site.template.write_text(text)

    site.smith.acts[ONE] = edit
    outcomes = site.run(compiled("a"), site.image("one", A))
    assert statuses(outcomes)[ONE][0] is Status.DONE
    assert site.recorded() == [A]
    # Reverted later, it would look as if it had been used.
    site.template.write_text("FROM base")
    del site.smith.acts[ONE]
    assert statuses(site.run(compiled("a"), site.image("one", A)))[ONE][0] is Status.DONE
    assert site.recorded() == [A, ONE]


def test_progress_is_reported_under_the_name_of_the_batch(site: Site) -> None:
    site.smith.acts[A] = lambda progress: progress("halfway")
    site.run(compiled("a"))
    assert site.journal.lines[1] == "compile/default@linux/amd64: halfway"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def interrupt() -> None:
    """Press Ctrl-C while the main thread waits for the others."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


@pytest.mark.timeout(30)
def test_ctrl_c_cancels_what_runs_and_records_nothing_of_it(site: Site) -> None:
    def wait(_progress: Progress) -> None:
        interrupt()
        site.cancelled.wait(10)
        raise CancelledError("go was stopped")

    site.smith.acts[A] = wait
    with pytest.raises(CancelledError) as caught:
        site.run(compiled("a"), site.image("one", A))
    assert caught.value.exit_code == 130
    assert site.cancelled.is_set()
    assert site.recorded() == []
    assert site.smith.order == [A]


@pytest.mark.timeout(30)
def test_what_has_no_child_ends_at_its_next_progress_after_ctrl_c(site: Site) -> None:
    ended = threading.Event()

    def stream(progress: Progress) -> None:
        interrupt()
        try:
            while True:
                progress("more")
                time.sleep(0.005)
        except CancelledError:
            ended.set()
            raise

    site.smith.acts[A] = stream
    with pytest.raises(CancelledError):
        site.run(compiled("a"))
    assert ended.is_set()


@pytest.mark.timeout(30)
def test_an_unexpected_exception_cancels_the_others_and_comes_out_as_it_is(site: Site) -> None:
    site.fail(A, ZeroDivisionError("a defect"))
    site.smith.acts["binary/b@linux/arm64"] = lambda _: until(site.cancelled.is_set)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        site.run(compiled("a"), compiled("b", platform=ARM))
    assert A not in site.recorded()


def test_batches_are_ready_when_what_their_members_need_is_done(site: Site) -> None:
    steps = (compiled("a"), compiled("b"), site.image("one", A, B))
    batches, sorter = make_batches(Plan(steps=steps, artifacts={}))
    compiling = "compile/default@linux/amd64"
    assert sorter.get_ready() == (compiling,)
    sorter.done(compiling)
    assert sorter.get_ready() == (ONE,)
    assert batches[compiling].lane == "go@linux/amd64"
    assert batches[ONE].lane == ""


def restorable(site: Site, root: Path, name: str) -> tuple[Step, Artifact]:
    """Return a step whose output lies in the cache, and what it gives."""
    kept = root / "kept"
    kept.write_text(name)
    digest, _ = site.store.put_file(kept)
    step = compiled(name)
    unit = binary(name, compile_action(Path("/src"), root / "out" / name))
    made = Artifact(unit=unit.id, digest=str(digest), size=1, path=unit.output)
    return replace(step, unit=unit, verdict=Verdict.RESTORED), made


def test_what_is_in_the_cache_is_restored_and_recorded(site: Site, tmp_path: Path) -> None:
    step, made = restorable(site, tmp_path, "a")
    outcomes = site.run(step, site.image("one", A), made={A: made})
    assert statuses(outcomes)[A][0] is Status.RESTORED
    assert site.smith.order == [ONE]
    assert (tmp_path / "out" / "a").read_text() == "a"
    assert site.recorded() == [A, ONE]


def test_what_turns_out_to_be_damaged_in_the_cache_is_made(site: Site, tmp_path: Path) -> None:
    step, made = restorable(site, tmp_path, "a")
    site.store.blob(Digest.parse(made.digest)).write_text("damaged")
    outcomes = site.run(step, made={A: made})
    assert statuses(outcomes)[A][0] is Status.DONE
    assert site.smith.order == [A]
    assert not (tmp_path / "out" / "a").exists()


def test_a_restored_unit_waits_for_no_compile_and_holds_none_up(site: Site, tmp_path: Path) -> None:
    step, made = restorable(site, tmp_path, "a")
    site.run(compiled("b"), step, compiled("c"), made={A: made})
    assert site.smith.batches == [(B, "binary/c@linux/amd64")]


@pytest.mark.timeout(30)
def test_a_restored_unit_takes_no_place_of_a_compile(site: Site, tmp_path: Path) -> None:
    site.limits[Kind.BINARY] = 1
    step, made = restorable(site, tmp_path, "a")
    output = tmp_path / "out" / "a"
    site.smith.acts["binary/b@linux/arm64"] = lambda _: until(output.exists)
    outcomes = site.run(compiled("b", platform=ARM), step, made={A: made})
    assert [outcome.status for outcome in outcomes] == [Status.DONE, Status.RESTORED]
