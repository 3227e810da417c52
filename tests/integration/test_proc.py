from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from buildkit import proc
from buildkit.errors import (
    BuildError,
    CancelledError,
    EnvironmentMissingError,
)
from buildkit.proc import Completed, OutOfMemoryError, Processes, ps_group_memory, spawn_detached

SHELL = "/bin/sh"


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", code)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie waits for init alone; it no longer runs.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"


class Background:
    """One ``Processes.run`` in a thread, and how it ended."""

    def __init__(self, processes: Processes, argv: tuple[str, ...], cwd: Path) -> None:
        self.ended: Completed | BaseException | None = None

        def work() -> None:
            try:
                self.ended = processes.run(argv, env={"PATH": os.defpath}, cwd=cwd)
            except CancelledError as error:
                self.ended = error

        self._thread = threading.Thread(target=work)
        self._thread.start()

    def join(self) -> Completed | BaseException | None:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.ended


def test_a_child_gets_exactly_the_given_environment_directory_and_input(tmp_path: Path) -> None:
    code = "import os, sys; print(dict(os.environ), os.getcwd(), sys.stdin.read())"
    done = Processes().run(
        python(code), env={"ONLY": "this", "LC_ALL": "C.UTF-8"}, cwd=tmp_path, stdin=b"input"
    )
    assert done.returncode == 0
    assert done.stderr == b""
    expected = f"{ {'ONLY': 'this', 'LC_ALL': 'C.UTF-8'} } {tmp_path} input\n"
    assert done.stdout.decode() == expected
    assert done.argv == python(code)
    assert 0 < done.seconds < 20


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    argument = "$HOME `id` 'a' \"b\" ; * \n"
    done = Processes().run(
        (*python("import sys; print(sys.argv[1])"), argument), env={}, cwd=tmp_path
    )
    assert done.stdout.decode() == argument + "\n"


def test_much_output_on_both_streams_blocks_nobody(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.write('o' * 990_000); sys.stderr.write('e' * 990_000)"
    done = Processes().run(python(code), env={}, cwd=tmp_path)
    assert (len(done.stdout), len(done.stderr)) == (990_000, 990_000)


def test_a_child_that_reads_nothing_ends_well(tmp_path: Path) -> None:
    done = Processes().run((SHELL, "-c", "exit 3"), env={}, cwd=tmp_path, stdin=b"x" * 1_000_000)
    assert done.returncode == 3


def test_a_failure_speaks_with_the_child_s_own_words(tmp_path: Path) -> None:
    done = Processes().run((SHELL, "-c", "echo out; echo why >&2; exit 1"), env={}, cwd=tmp_path)
    with pytest.raises(BuildError, match="it broke") as caught:
        done.check("it broke")
    assert caught.value.details == "why"
    silent = Processes().run((SHELL, "-c", "exit 7"), env={}, cwd=tmp_path)
    with pytest.raises(BuildError) as caught:
        silent.check("it broke")
    assert caught.value.details == "exit status 7"
    assert done.output == "why"


def test_a_killed_child_or_grandchild_is_told_from_a_failure(tmp_path: Path) -> None:
    done = Processes().run((SHELL, "-c", "echo last; kill -KILL $$"), env={}, cwd=tmp_path)
    assert done.was_killed
    with pytest.raises(OutOfMemoryError, match="it broke: a process was killed") as caught:
        done.check("it broke")
    assert caught.value.details == "last"
    go = "echo 'go build x: /go/link: signal: killed' >&2; exit 1"
    assert Processes().run((SHELL, "-c", go), env={}, cwd=tmp_path).was_killed
    mild = "echo 'signal: killed' >&2; exit 0"
    assert not Processes().run((SHELL, "-c", mild), env={}, cwd=tmp_path).was_killed
    assert not Processes().run((SHELL, "-c", "kill -TERM $$"), env={}, cwd=tmp_path).was_killed


def test_what_a_killed_child_started_is_ended_too(tmp_path: Path) -> None:
    code = "sleep 60 >/dev/null 2>&1 & echo $!; kill -KILL $$"
    done = Processes().run((SHELL, "-c", code), env={"PATH": os.defpath}, cwd=tmp_path)
    wait_for(lambda: not is_alive(int(done.stdout)), "the end of the grandchild")


def test_the_kernel_ends_children_before_us(tmp_path: Path) -> None:
    code = "sleep 0.2; sh -c 'cat /proc/self/oom_score_adj'"
    done = Processes().run((SHELL, "-c", code), env={"PATH": os.defpath}, cwd=tmp_path)
    assert int(done.stdout) == 500
    assert int(Path("/proc/self/oom_score_adj").read_text()) < 500


def test_the_peak_is_the_most_that_a_child_and_what_it_started_held(tmp_path: Path) -> None:
    hold = "import time; held = bytearray(80_000_000); time.sleep(0.8); del held; time.sleep(0.4)"
    code = (
        "import subprocess, sys\n"
        f"one = [sys.executable, '-I', '-c', {hold!r}]\n"
        "for child in [subprocess.Popen(one) for _ in range(2)]: child.wait()"
    )
    done = Processes().run(python(code), env={}, cwd=tmp_path)
    assert 160_000_000 < done.peak_memory < 400_000_000


def test_the_peaks_of_two_children_at_once_are_their_own(tmp_path: Path) -> None:
    processes = Processes()
    sizes = (60_000_000, 200_000_000)
    code = "import time; held = bytearray({}); time.sleep(0.8)"
    running = [Background(processes, python(code.format(n)), tmp_path) for n in sizes]
    for size, child in zip(sizes, running, strict=True):
        done = child.join()
        assert isinstance(done, Completed)
        assert size < done.peak_memory < size + 60_000_000


def test_ps_tells_of_this_process_group(tmp_path: Path) -> None:
    code = "import time; held = bytearray(90_000_000); open('ready', 'w'); time.sleep(60)"
    processes = Processes()
    running = Background(processes, python(code), tmp_path)
    wait_for((tmp_path / "ready").exists, "the start of the child")
    assert any(90_000_000 < size < 200_000_000 for size in ps_group_memory().values())
    processes.cancel()
    assert isinstance(running.join(), CancelledError)


def test_a_success_is_returned(tmp_path: Path) -> None:
    done = Processes().run((SHELL, "-c", "echo fine"), env={}, cwd=tmp_path)
    assert done.check("it broke") is done
    assert done.output == "fine"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissingError, match="cannot start /no/such/program") as caught:
        Processes().run(("/no/such/program",), env={}, cwd=tmp_path)
    assert caught.value.details == "No such file or directory"


def test_the_log_holds_command_streams_and_status(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "unit.log"
    Processes().run(
        (SHELL, "-c", "echo 'a b'; echo oops >&2; exit 2"), env={}, cwd=tmp_path, log=log
    )
    lines = log.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("$ /bin/sh -c ")
    assert lines[1:3] == ["a b", "oops"]
    assert lines[-1].startswith("exit status 2 after ")


def test_cancelling_ends_a_child_with_what_it_started(tmp_path: Path) -> None:
    processes = Processes()
    running = Background(
        processes, (SHELL, "-c", "sleep 60 & echo $! > pid.tmp; mv pid.tmp pid; wait"), tmp_path
    )
    wait_for((tmp_path / "pid").exists, "the start of the grandchild")
    grandchild = int((tmp_path / "pid").read_text(encoding="utf-8"))
    assert is_alive(grandchild)
    processes.cancel()
    assert isinstance(running.join(), CancelledError)
    wait_for(lambda: not is_alive(grandchild), "the end of the grandchild")


def test_ctrl_c_while_waiting_for_a_child_ends_it(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    code = f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        wait_for(lambda: started.exists() and started.read_text() != "", "the start")
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        Processes().run(python(code), env={}, cwd=tmp_path)
    assert not is_alive(int(started.read_text()))


def test_a_child_that_ignores_the_polite_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proc, "GRACE_SECONDS", 0.2)
    processes = Processes()
    running = Background(
        processes, (SHELL, "-c", "trap '' TERM; : > ready; while :; do sleep 0.1; done"), tmp_path
    )
    wait_for((tmp_path / "ready").exists, "the start of the child")
    processes.cancel()
    assert isinstance(running.join(), CancelledError)


def test_after_cancelling_nothing_starts_any_more(tmp_path: Path) -> None:
    processes = Processes()
    processes.cancel()
    with pytest.raises(CancelledError, match="was not started"):
        processes.run((SHELL, "-c", ": > started"), env={}, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_child_is_not_signalled_later(tmp_path: Path) -> None:
    processes = Processes()
    done = processes.run((SHELL, "-c", "sleep 60 >/dev/null 2>&1 & echo $!"), env={}, cwd=tmp_path)
    survivor = int(done.stdout)
    try:
        processes.cancel()
        assert is_alive(survivor)
    finally:
        os.kill(survivor, 9)


def test_a_detached_process_outlives_its_starter_and_logs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pid = spawn_detached(
        (SHELL, "-c", "echo $WORD; echo err >&2; pwd; exec sleep 60"),
        env={"WORD": "hello", "PATH": os.defpath},
        cwd=tmp_path,
        log=log,
    )
    try:
        wait_for(lambda: log.read_text(encoding="utf-8").count("\n") == 3, "the output")
        assert log.read_text(encoding="utf-8") == f"hello\nerr\n{tmp_path}\n"
        assert is_alive(pid)
        assert os.getsid(pid) != os.getsid(0)
    finally:
        os.kill(pid, 9)
    wait_for(lambda: not is_alive(pid), "the end of the detached process")


def test_a_detached_program_that_is_not_there_says_so_in_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    spawn_detached(("/no/such/program",), env={}, cwd=tmp_path, log=log)
    wait_for(lambda: "/no/such/program" in log.read_text(encoding="utf-8"), "the message")


def test_a_log_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissingError, match="in the background"):
        spawn_detached((SHELL, "-c", ":"), env={}, cwd=tmp_path, log=tmp_path / "absent" / "log")
