"""A machine is described without a path or a name of its own."""

from __future__ import annotations

from pathlib import Path

from tests.bench.surroundings import look


def test_linux_tells_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Fast CPU @ 3GHz\n")
    (tmp_path / "meminfo").write_text("MemTotal:       25165824 kB\n")
    (tmp_path / "os-release").write_text('NAME="D"\nPRETTY_NAME="Debian GNU/Linux 12"\n')
    found = look({"Go": "1.26.1"}, tmp_path, tmp_path)
    assert found.processor == "Fast CPU @ 3GHz"
    assert found.memory == 24 * 2**30
    assert found.system == "Debian GNU/Linux 12"
    assert found.document()["tools"]["Go"] == "1.26.1"
    text = str(found)
    assert ", 24 GiB, Debian GNU/Linux 12; Python 3." in text
    assert text.endswith(", Go 1.26.1")


def test_another_system_has_no_such_files(tmp_path: Path) -> None:
    found = look({}, tmp_path / "none", tmp_path / "none")
    assert found.memory > 2**28
    assert found.cores >= 1
    assert found.processor
    assert found.system
