"""The start script, with a stand-in for Python that notes what it is asked to do.

The last test does the real thing.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# All that inv may use besides the shell itself: POSIX programs, and readlink.
PROGRAMS = (
    *("cat", "cmp", "cp", "date", "id", "ln", "mkdir", "mv"),
    *("readlink", "rm", "rmdir", "sleep", "tail", "uname"),
)
SHELLS = (
    ("dash",),
    ("bash", "--posix"),
    ("bash",),
    ("zsh", "--emulate", "sh"),
    ("ksh",),
    ("yash",),
    ("busybox", "sh"),
)

FAKE_PYTHON = """#!/bin/sh
for last do :; done
case "$1 $2 $3" in
-c*) echo "$0" ;;
"-m venv "*)
  echo "venv $last" >>"$NOTES"
  mkdir -p "$last/bin" && cp "$0" "$last/bin/python"
  ;;
"-I -m pip")
  echo "pip $*" >>"$NOTES"
  if [ -e "$NOTES.break" ]; then echo 'no distribution matches'; exit 1; fi
  sleep "${PIP_SECONDS:-0}"
  ;;
"-P -m buildkit.program"*) printf '%s|' "$PWD" "$@"; exit 7 ;;
esac
"""


def write_program(path: Path, text: str) -> Path:
    path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


class Clone:
    """A copy of what inv needs, a PATH with nothing but its tools, and the stand-in's notes."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        self.root.mkdir(parents=True)
        shutil.copy(ROOT / "inv", self.root)
        (self.root / "requirements.lock").write_text("one==1\n", encoding="utf-8")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in PROGRAMS:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.notes_file = folder / "notes"
        self.fake = write_program(folder / "fake python", FAKE_PYTHON)
        self.env = {"PATH": str(self.bin), "NOTES": str(self.notes_file), "HOME": str(folder)}

    def command(self, *arguments: str, shell: tuple[str, ...] = ("sh",)) -> list[str]:
        return [str(shutil.which(shell[0])), *shell[1:], str(self.root / "inv"), *arguments]

    def run(
        self,
        *arguments: str,
        shell: tuple[str, ...] = ("sh",),
        python: str | None = "",
        cwd: Path | None = None,
        **env: str,
    ) -> subprocess.CompletedProcess[str]:
        if python is not None:
            env["PYTHON"] = python or str(self.fake)
        return subprocess.run(
            self.command(*arguments, shell=shell),
            env=self.env | env,
            cwd=cwd or self.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def notes(self) -> list[str]:
        if not self.notes_file.exists():
            return []
        return self.notes_file.read_text(encoding="utf-8").splitlines()

    @property
    def times_made(self) -> int:
        return sum(note.startswith("venv") for note in self.notes)

    @property
    def leftovers(self) -> set[str]:
        return {path.name for path in self.root.iterdir()} - {"inv", "requirements.lock", ".venv"}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def invoked(clone: Clone, *arguments: str, cwd: Path | None = None) -> str:
    search = ("-P", "-m", "buildkit.program", "--search-root", str(clone.root))
    return "".join(f"{word}|" for word in (str(cwd or clone.root), *search, *arguments))


@pytest.mark.parametrize(
    "shell", [shell for shell in SHELLS if shutil.which(shell[0])], ids=" ".join
)
def test_every_shell_prepares_once_and_then_starts_invoke(
    clone: Clone, shell: tuple[str, ...]
) -> None:
    first = clone.run("build", "--hub", "a b", shell=shell)
    assert first.returncode == 7, first.stderr
    assert first.stdout == invoked(clone, "build", "--hub", "a b")
    assert first.stderr.startswith("Preparing .venv (once) ... ")
    assert first.stderr.endswith(" s\n")
    assert clone.notes[0] == f"venv {clone.root}/.venv"
    assert len(clone.notes) == 3
    second = clone.run("--list", shell=shell)
    assert (second.returncode, second.stdout, second.stderr) == (7, invoked(clone, "--list"), "")
    assert len(clone.notes) == 3
    assert clone.leftovers == set()


def test_pip_installs_the_lock_by_hash_from_wheels_and_the_package_without_dependencies(
    clone: Clone,
) -> None:
    clone.run()
    lock, package = (note.split() for note in clone.notes[1:])
    assert {"--require-hashes", "--no-deps", "-r"} <= set(lock)
    assert lock[lock.index("--only-binary") + 1] == ":all:"
    assert {"--no-build-isolation", "--no-deps", "--editable"} <= set(package)


def test_the_current_directory_stays_and_the_tasks_are_the_clone_s(
    clone: Clone, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    assert clone.run("plan", cwd=elsewhere).stdout == invoked(clone, "plan", cwd=elsewhere)


def test_a_link_to_inv_finds_the_clone(clone: Clone, tmp_path: Path) -> None:
    clone.run()
    (tmp_path / "relative").symlink_to(Path("a clone") / "inv")
    (tmp_path / "twice").symlink_to(tmp_path / "relative")
    done = subprocess.run(
        [tmp_path / "twice"], env=clone.env, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.stdout == invoked(clone, cwd=Path("/"))


def test_a_changed_lock_makes_a_new_environment(clone: Clone) -> None:
    clone.run()
    (clone.root / ".venv" / "old").touch()
    (clone.root / "requirements.lock").write_text("one==2\n", encoding="utf-8")
    assert "Preparing" in clone.run().stderr
    assert not (clone.root / ".venv" / "old").exists()
    assert clone.run().stderr == ""
    assert clone.times_made == 2


def test_a_touched_lock_of_the_same_content_changes_nothing(clone: Clone) -> None:
    clone.run()
    os.utime(clone.root / "requirements.lock", (1, 1))
    assert clone.run().stderr == ""
    assert clone.times_made == 1


def test_a_moved_clone_makes_its_environment_again(clone: Clone, tmp_path: Path) -> None:
    clone.run()
    clone.root = clone.root.rename(tmp_path / "moved")
    assert clone.run("x").stdout == invoked(clone, "x")
    assert clone.notes[3] == f"venv {tmp_path}/moved/.venv"


def test_an_environment_whose_python_is_gone_is_made_again(clone: Clone) -> None:
    clone.run()
    python = clone.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/longer/python3")
    assert "Preparing" in clone.run().stderr
    assert clone.times_made == 2


def test_a_failed_installation_shows_pip_s_words_and_the_next_start_tries_again(
    clone: Clone,
) -> None:
    broken = Path(f"{clone.notes_file}.break")
    broken.touch()
    done = clone.run("build")
    assert done.returncode == 4
    assert done.stdout == ""
    assert ".venv could not be made" in done.stderr
    assert "no distribution matches" in done.stderr
    assert clone.leftovers == set()
    broken.unlink()
    assert clone.run("build").returncode == 7
    assert clone.times_made == 2


_LISTENING = """\
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_after_an_interruption_the_next_start_is_right(
    clone: Clone, number: signal.Signals
) -> None:
    env = clone.env | {"PYTHON": str(clone.fake), "PIP_SECONDS": "30"}
    # A shell cannot listen to what was ignored when it began, as SIGHUP is below nohup.
    listening = [sys.executable, "-c", _LISTENING, *map(str, clone.command())]
    with subprocess.Popen(listening, env=env, start_new_session=True) as child:
        deadline = time.monotonic() + 20
        while len(clone.notes) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(child.pid, number)
        assert child.wait() not in {0, 7}
    assert not (clone.root / ".venv" / "inv.lock").exists()
    assert clone.run("x").stdout == invoked(clone, "x")
    assert clone.times_made == 2
    assert clone.leftovers == set()


def test_several_first_starts_at_once_prepare_once(clone: Clone) -> None:
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda _: clone.run("x", PIP_SECONDS="0.3"), range(6)))
    assert [run.stdout for run in runs] == [invoked(clone, "x")] * 6
    assert clone.times_made == 1
    assert sum("Preparing" in run.stderr for run in runs) == 1
    assert clone.leftovers == set()


def test_the_lock_of_a_dead_process_is_taken_over_by_one_of_many(clone: Clone) -> None:
    with subprocess.Popen(["true"], env=clone.env, executable=shutil.which("true")) as ended:
        ended.wait()
    (clone.root / ".venv.lock").symlink_to(f"{os.uname().nodename}:{ended.pid}")
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda _: clone.run("x", PIP_SECONDS="0.3"), range(6)))
    assert [run.stdout for run in runs] == [invoked(clone, "x")] * 6
    assert clone.times_made == 1
    assert clone.leftovers == set()


def test_the_lock_of_a_living_process_is_waited_for(clone: Clone) -> None:
    lock = clone.root / ".venv.lock"
    lock.symlink_to(f"{os.uname().nodename}:{os.getpid()}")
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(clone.run, "x")
        time.sleep(0.5)
        assert clone.notes == []
        lock.unlink()
        assert run.result().stdout == invoked(clone, "x")
    assert f"waiting for process {os.uname().nodename}:{os.getpid()}" in run.result().stderr


def test_settings_that_install_elsewhere_do_not_reach_pip(clone: Clone) -> None:
    text = FAKE_PYTHON.replace('echo "pip $*"', 'echo "pip $PIP_USER-${PIP_TARGET-unset}"')
    write_program(clone.fake, text)
    clone.run(PIP_TARGET="/elsewhere", PIP_USER="1")
    assert clone.notes[1:] == ["pip 0-unset"] * 2


class TestLookingForPython:
    """What stands on PATH decides; the clone's PATH has no Python of its own."""

    def test_the_first_that_works_is_taken_past_shims_and_old_ones(self, clone: Clone) -> None:
        write_program(clone.bin / "python3.14", "echo 'pyenv: not found' >&2; exit 127")
        write_program(clone.bin / "python3.13", "exit 12")
        write_program(clone.bin / "python3.11", FAKE_PYTHON)
        write_program(clone.bin / "python3", "exit 11")
        done = clone.run("x", python=None)
        assert done.stdout == invoked(clone, "x")
        assert "pyenv" not in done.stderr

    def test_an_explicit_one_that_does_not_fit_is_an_error_not_a_fallback(
        self, clone: Clone
    ) -> None:
        write_program(clone.bin / "python3", FAKE_PYTHON)
        done = clone.run("x", python="/no/python")
        assert done.returncode == 4
        assert "PYTHON=/no/python is not a Python 3.11 or newer" in done.stderr
        assert clone.notes == []
        assert clone.leftovers == set()

    def test_uv_makes_the_environment_where_no_python_fits(self, clone: Clone) -> None:
        write_program(clone.bin / "python3", "exit 11")
        write_program(
            clone.bin / "uv",
            'echo "uv $*" >>"$NOTES"\n'
            'if [ "$1" != venv ]; then exit; fi\n'
            "for last do :; done\n"
            f'mkdir -p "$last/bin" && cp "{clone.fake}" "$last/bin/python"',
        )
        assert clone.run("x", python=None).stdout == invoked(clone, "x")
        venv, lock, package = clone.notes
        assert venv.startswith("uv venv ")
        assert "--python >=3.11" in venv
        assert "--require-hashes" in lock
        assert "--only-binary :all:" in lock
        assert package.startswith("pip ")
        assert clone.run("x", python=None).stderr == ""

    @pytest.mark.parametrize(
        ("programs", "advice"),
        [
            ({"apt-get": "exit 0", "apt-cache": '[ "$2" = python3.12-venv ]'}, "python3.12-venv"),
            (
                {"apt-get": "exit 0", "apt-cache": "exit 100"},
                "apt-get update && {sudo}apt-get install -y python3-venv",
            ),
            (
                {"apt-get": "exit 0", "apt-cache": '[ "$2" = python3-venv ]'},
                "python3 -m pip install uv",
            ),
            ({"dnf": "exit 0"}, "dnf install -y python3.12"),
            ({"brew": "exit 0"}, "brew install python@3.13"),
            ({"apk": "exit 0"}, "apk add python3"),
            ({}, "python3 -m pip install uv"),
        ],
        ids=["apt", "apt-without-lists", "apt-of-an-old-release", "dnf", "brew", "apk", "none"],
    )
    def test_without_any_the_command_that_helps_this_system_is_printed(
        self, clone: Clone, programs: dict[str, str], advice: str
    ) -> None:
        for name, text in programs.items():
            write_program(clone.bin / name, text)
        write_program(clone.bin / "python3", "exit 11")
        done = clone.run("x", python=None)
        assert done.returncode == 4
        sudo = "" if os.geteuid() == 0 else "sudo "
        assert done.stderr.splitlines()[0] == "inv: no Python 3.11 or newer"
        assert done.stderr.splitlines()[-1].startswith("This command helps: ")
        assert done.stderr.endswith(advice.format(sudo=sudo) + "\n")
        assert clone.leftovers == set()

    def test_a_debian_python_without_ensurepip_is_told_which_package_it_lacks(
        self, clone: Clone
    ) -> None:
        write_program(clone.bin / "python3", "echo 3.13; exit 12")
        write_program(clone.bin / "apt-get", "exit 0")
        write_program(clone.bin / "apt-cache", "exit 0")
        done = clone.run("x", python=None)
        assert done.returncode == 4
        assert "python3.13 lacks ensurepip" in done.stderr
        assert done.stderr.endswith("apt-get install -y python3.13-venv\n")


def copy_tree(target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


@pytest.mark.slow
@pytest.mark.network
def test_a_fresh_clone_gets_a_sound_environment_and_later_starts_need_no_network(
    tmp_path: Path,
) -> None:
    root = tmp_path / "fresh clone"
    copy_tree(root)
    assert (root / "inv").stat().st_mode & stat.S_IXUSR
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["PYTHON"] = sys.executable

    def run(*argv: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, env=env | more, cwd="/", capture_output=True, text=True, check=False
        )

    first = run(str(root / "inv"), "--list")
    assert first.returncode == 0, first.stderr
    assert first.stderr.startswith("Preparing .venv (once) ...")
    offline = {"PIP_NO_INDEX": "1", "HTTPS_PROXY": "http://127.0.0.1:9", "PATH": os.defpath}
    second = run(str(root / "inv"), "--list", **offline)
    assert (second.stdout, second.stderr) == (first.stdout, "")
    python = str(root / ".venv" / "bin" / "python")
    checked = run(python, "-m", "pip", "check")
    assert checked.returncode == 0, checked.stdout
    where = run(python, "-P", "-c", "import buildkit; print(buildkit.__file__)")
    assert where.stdout.strip() == str(root / "buildkit" / "__init__.py")
