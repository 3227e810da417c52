"""Ctrl-C, SIGTERM and --fail-fast end what runs: children gone, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration import conftest

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 30

COMMANDS = """\
schema_version = 1
[project]
name = "tiny"
source = "."
release_hub = "docker.io/tiny"
[matrix]
platforms = ["linux/amd64"]
[command.long]
argv = ["sh", "-ec", "echo half > $$1; sleep 60 & echo $$! > $$2; wait", "sh", "${out}/long", "pid"]
outputs = ["long"]
directory = "${source}"
[command.short]
argv = ["sh", "-c", "until test -s pid; do sleep 0.02; done; exit 3"]
outputs = ["short"]
directory = "${source}"
"""


@pytest.mark.go
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_leaves_no_child_and_no_output(
    number: signal.Signals, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    environ = {
        **conftest.outside_settings(),
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        # Empty, so that the compile is still running when the signal comes.
        "GOCACHE": str(tmp_path / "gocache"),
        "MESHWRIGHT_CACHE": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "invoke", "build", "--only", "operator"]
    child = subprocess.Popen(
        [*command, "--platform", "linux/amd64", "--out", str(out)],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: bool(compilers(out)))
    child.send_signal(number)
    _, said = child.communicate(timeout=LIMIT_SECONDS)
    assert child.returncode == 130, said
    assert "stopped by the user" in said
    assert "Traceback" not in said
    assert not compilers(out)
    assert not (out / "linux_amd64" / "operator").exists()
    assert not list((out / ".buildkit" / "tmp").iterdir())


def test_fail_fast_ends_the_children_of_others(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(COMMANDS)
    command = [sys.executable, "-c", "from buildkit.tasks import main; main()", "build"]
    done = subprocess.run(
        [*command, "--fail-fast", "--json"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "MESHWRIGHT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    found = {u["id"]: (u["status"], u["reason"]) for u in json.loads(done.stdout)["units"]}
    assert found["command/short"][0] == "failed"
    assert found["command/long"] == ("aborted", "--fail-fast, after command/short")
    sleeper = Path("/proc", (tmp_path / "pid").read_text().strip(), "cmdline")
    # What is dead and not yet buried has no words.
    assert not sleeper.exists() or sleeper.read_bytes() == b""
    assert not list((tmp_path / "out").rglob("long"))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def compilers(out: Path) -> list[str]:
    """Return the command lines of running processes that write below a directory."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if f"-o {out}/.buildkit" in words:
            found.append(words)
    return found
