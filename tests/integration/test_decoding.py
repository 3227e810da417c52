"""First decodes from several threads at once, in a process that may end by a signal."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """\
import sys, threading
from types import ModuleType
from buildkit.decoding import decode_json

SOURCE = '''
from __future__ import annotations
from msgspec import Struct
class Inner(Struct, frozen=True):
    name: str
    sizes: tuple[int, ...] | None = None
class Outer(Struct, frozen=True):
    many: tuple[Inner, ...]
    one: Inner
'''
sys.setswitchinterval(1e-6)
for number in range(400):
    module = sys.modules[f"m{number}"] = ModuleType(f"m{number}")
    exec(SOURCE, module.__dict__)
    gate = threading.Barrier(4)
    def work():
        gate.wait()
        decode_json(b'{"many": [{"name": "a"}], "one": {"name": "b"}}', module.Outer)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def test_a_type_that_several_threads_decode_first_ends_no_process() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
