"""Runs the commands of one measurement in a process of its own, and says what they cost.

A child's largest resident set is at least that of the process that started it, see
getrusage(2), so this one loads little. It reads a job as JSON from standard input and
writes what :class:`tests.bench.measure.Cost` has to standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

_BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024
_TAIL = 2000


def run(phases: list[list[list[str]]], folder: str, environ: dict[str, str]) -> dict[str, object]:
    """Run phases one after another and the commands of each at once; stop at a failed phase."""
    output, cpu, peak, read, failed = "", 0.0, 0, 0, ""
    started = time.monotonic()
    for phase in phases:
        # A pipe that nobody empties would stop a child that prints much.
        files = [tempfile.TemporaryFile() for _ in phase]  # noqa: SIM115 - closed below
        children = [
            subprocess.Popen(
                argv,
                cwd=folder,
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            for argv, file in zip(phase, files, strict=True)
        ]
        for child, file in zip(children, files, strict=True):
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            read += _bytes_read(child.pid)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            cpu += usage.ru_utime + usage.ru_stime
            peak = max(peak, usage.ru_maxrss * _BYTES_OF_MAXRSS)
            with file:
                file.seek(0)
                text = file.read().decode(errors="replace")
            output += text
            if child.returncode:
                failed += f"{child.args!r} ended with {child.returncode}\n{text[-_TAIL:]}"
        if failed:
            break
    seconds = time.monotonic() - started
    return {
        "seconds": seconds,
        "cpu": cpu,
        "peak": peak,
        "read": read,
        "output": output,
        "failed": failed,
    }


def _bytes_read(process: int) -> int:
    # Of a process that has ended and was not waited for; its children count, see proc_pid_io(5).
    try:
        with open(f"/proc/{process}/io") as stream:  # noqa: PTH123 - pathlib is not small
            lines = dict(line.split(": ") for line in stream)
    except OSError:
        return 0
    return int(lines["rchar"])


if __name__ == "__main__":
    json.dump(run(**json.load(sys.stdin)), sys.stdout)
