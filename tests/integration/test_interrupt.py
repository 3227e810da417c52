"""Ctrl-C and SIGTERM in the middle of a compile: children gone, nothing half-written."""

from __future__ import annotations

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
