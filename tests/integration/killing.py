"""Runs the tool and kills it in the middle: ``killing.py NOTES EVENT PATTERN COUNT DELAY TASK...``.

The product has no hooks for this: Python's audit events (PEP 578) tell of every rename,
child and request before it happens. NOTES gets a line, ``device:inode``, for every file
that was synced, from which :mod:`tests.integration.crashes` knows what a power cut spares.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from typing import Any


class Requests:
    """Names what goes over connections: a request's line, and how many blocks came after it."""

    def __init__(self) -> None:
        self._lines: dict[int, tuple[str, int]] = {}

    def name(self, connection: object, data: object) -> str:
        head = re.match(rb"[A-Z]+ \S+ HTTP/1\.1\r\n", data) if isinstance(data, bytes) else None
        line, count = self._lines.get(id(connection), ("", 0))
        found = (head[0].decode().split(" HTTP")[0], 0) if head else (line, count + 1)
        self._lines[id(connection)] = found
        return f"{found[0]} +{found[1]}"


def text_of(event: str, args: tuple[Any, ...], requests: Requests) -> str | None:
    """Return what an event's pattern is looked for in; None for events that do not count."""
    match event:
        case "os.rename":
            return f"{args[0]} -> {args[1]}"
        case "subprocess.Popen":
            return " ".join(map(str, args[1]))
        case "http.client.send":
            return requests.name(args[0], args[1])
        case "open" if isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
            return str(args[0])
        case _:
            return None


def arm(event: str, pattern: str, count: int, delay: float) -> None:
    """Kill this process before the nth event that matches, or so many seconds later."""
    wanted, requests, left, lock = re.compile(pattern), Requests(), [count], threading.Lock()

    def hook(name: str, args: tuple[Any, ...]) -> None:
        if name != event:
            return
        text = text_of(name, args, requests)
        if text is None or not wanted.search(text):
            return
        with lock:
            left[0] -= 1
            now = left[0] == 0
        if now and delay:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        elif now:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def note_syncs(path: str) -> None:
    """Write down which files are on the disk for sure."""
    notes, sync = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), os.fsync

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        found = os.fstat(descriptor)
        os.write(notes, f"{found.st_dev}:{found.st_ino}\n".encode())

    os.fsync = fsync  # type: ignore[assignment]  # a descriptor is all that this package gives


if __name__ == "__main__":
    _, NOTES, EVENT, PATTERN, COUNT, DELAY, *TASK = sys.argv
    from invoke.main import program

    note_syncs(NOTES)
    arm(EVENT, PATTERN, int(COUNT), float(DELAY))
    program.run(["inv", *TASK])
