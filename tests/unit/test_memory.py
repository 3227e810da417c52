"""Memory: limits of control groups, what is free, what process groups hold, from fake files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.memory import actions_within, available_memory, group_memory, parse_groups

MIB = 1 << 20
FREE = 8000 * MIB
UNLIMITED = 9223372036854771712


class Machine:
    """A /proc and a tree of control groups."""

    def __init__(self, root: Path) -> None:
        self.proc, self.groups = root / "proc", root / "cgroup"
        self.write(self.proc / "meminfo", f"MemTotal: 1 kB\nMemAvailable: {FREE >> 10} kB\n")
        self.write(self.proc / "self/cgroup", "")
        self.write(self.proc / "self/mountinfo", "23 1 8:1 / / rw - ext4 /dev/vda rw\n")

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def mount(self, kind: str, options: str, root: str = "/") -> None:
        line = f"35 31 0:32 {root} {self.groups} rw,relatime shared:9 - {kind} {kind} {options}\n"
        self.write(self.proc / "self/mountinfo", line)

    def v2(self, folder: str, limit: str, usage: int = 0, inactive: int = 0) -> None:
        place = self.groups / folder
        self.write(place / "memory.max", f"{limit}\n")
        self.write(place / "memory.current", f"{usage}\n")
        self.write(place / "memory.stat", f"anon 5\ninactive_file {inactive}\n")

    def v1(self, folder: str, limit: int, usage: int = 0, inactive: int = 0) -> None:
        place = self.groups / folder
        self.write(place / "memory.limit_in_bytes", f"{limit}\n")
        self.write(place / "memory.usage_in_bytes", f"{usage}\n")
        self.write(place / "memory.stat", f"inactive_file 1\ntotal_inactive_file {inactive}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_limits_it_is_what_the_machine_has_free(machine: Machine) -> None:
    assert available_memory(machine.proc) == FREE


def test_without_proc_it_is_all_that_the_machine_has(tmp_path: Path) -> None:
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert available_memory(tmp_path / "absent") == whole


def test_the_lowest_limit_up_the_tree_counts(machine: Machine) -> None:
    machine.mount("cgroup2", "rw")
    machine.write(machine.proc / "self/cgroup", "0::/pod/box\n")
    machine.v2("pod/box", "max")
    assert available_memory(machine.proc) == FREE
    machine.v2("pod", str(2000 * MIB))
    assert available_memory(machine.proc) == 2000 * MIB
    machine.v2("pod/box", str(500 * MIB))
    assert available_memory(machine.proc) == 500 * MIB
    machine.v2("pod", str(100 * MIB))
    assert available_memory(machine.proc) == 100 * MIB


def test_what_is_in_use_is_taken_off_but_not_what_the_kernel_gives_up_first(
    machine: Machine,
) -> None:
    machine.mount("cgroup2", "rw")
    machine.write(machine.proc / "self/cgroup", "0::/\n")
    machine.v2("", str(500 * MIB), usage=300 * MIB, inactive=120 * MIB)
    assert available_memory(machine.proc) == 320 * MIB
    machine.v2("", str(500 * MIB), usage=600 * MIB)
    assert available_memory(machine.proc) == 0


def test_the_first_version_of_control_groups(machine: Machine) -> None:
    machine.mount("cgroup", "rw,memory")
    machine.write(machine.proc / "self/cgroup", "9:cpu,cpuacct:/other\n4:memory:/jobs/one\n0::/\n")
    machine.v1("jobs", UNLIMITED)
    machine.v1("jobs/one", 700 * MIB, usage=50 * MIB, inactive=10 * MIB)
    assert available_memory(machine.proc) == 660 * MIB
    machine.mount("cgroup", "rw,cpu")
    assert available_memory(machine.proc) == FREE


def test_in_a_container_the_mount_shows_the_group_itself(machine: Machine) -> None:
    machine.mount("cgroup", "rw,memory", root="/docker/abc")
    machine.v1("", 300 * MIB)
    for path in ("/docker/abc", "/docker/other"):
        machine.write(machine.proc / "self/cgroup", f"4:memory:{path}\n")
        assert available_memory(machine.proc) == 300 * MIB
    machine.v1("below", 200 * MIB)
    machine.write(machine.proc / "self/cgroup", "4:memory:/docker/abc/below\n")
    assert available_memory(machine.proc) == 200 * MIB


def test_files_that_hold_no_number_limit_nothing(machine: Machine) -> None:
    machine.mount("cgroup2", "rw")
    machine.write(machine.proc / "self/cgroup", "0::/\n")
    machine.write(machine.groups / "memory.max", "")
    assert available_memory(machine.proc) == FREE


def test_a_process_group_holds_what_its_processes_hold(machine: Machine) -> None:
    after = " ".join(["0"] * 16)
    lines = {
        7: f"7 (go) S 1 7 7 {after} 100 10 0",
        8: f"8 (a) b) 9) R 7 7 7 {after} 100 5 0",
        9: f"9 (sh) S 1 9 9 {after} 100 3 0",
    }
    for number, line in lines.items():
        machine.write(machine.proc / str(number) / "stat", line)
    (machine.proc / "10").mkdir()
    page = os.sysconf("SC_PAGE_SIZE")
    assert group_memory(machine.proc) == {7: 15 * page, 9: 3 * page}


def test_ps_tells_the_same_in_kibibytes() -> None:
    assert parse_groups("  7   100\n    7 20\n  9     3\n") == {7: 120 << 10, 9: 3 << 10}


def test_a_large_machine_runs_as_many_actions_as_jobs_a_small_one_fewer() -> None:
    assert actions_within(24_000_000_000, 16) == 16
    assert actions_within(2_000_000_000, 8) == 5
    assert actions_within(100_000_000, 8) == 1


@given(st.integers(0, 1 << 50), st.integers(1, 512))
def test_there_is_always_one_action_and_never_more_than_jobs(available: int, jobs: int) -> None:
    assert 1 <= actions_within(available, jobs) <= jobs
