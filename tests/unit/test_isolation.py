from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

import pytest

Refused = pytest.fail.Exception


def test_a_unit_test_that_starts_a_process_fails() -> None:
    with pytest.raises(Refused, match=r"starts a process.*tests/integration"):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    with pytest.raises(Refused, match=r"os\.system"):
        os.system("true")  # noqa: S605 - it never runs
    with pytest.raises(Refused, match=r"os\.fork"):
        os.fork()
    with pytest.raises(Refused, match=r"os\.posix_spawn"):
        os.posix_spawn(sys.executable, [sys.executable], {})


def test_code_under_test_cannot_swallow_the_refusal() -> None:
    def careless() -> None:
        try:
            subprocess.run([sys.executable, "-c", "pass"], check=True)
        except Exception:  # noqa: BLE001 - the point of this test
            pytest.fail("swallowed")

    with ThreadPoolExecutor() as pool, pytest.raises(Refused, match="starts a process"):
        pool.submit(careless).result()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.invalid"])
def test_a_unit_test_that_leaves_the_machine_fails(host: str) -> None:
    with pytest.raises(Refused, match="leaves this machine"):
        socket.create_connection((host, 80), timeout=0.1)


def test_the_docker_socket_is_out_of_reach() -> None:
    with (
        socket.socket(socket.AF_UNIX) as client,
        pytest.raises(Refused, match="leaves this machine"),
    ):
        client.connect("/var/run/docker.sock")


def test_loopback_works_from_a_thread_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        client = threading.Thread(target=lambda: socket.create_connection(address).close())
        client.start()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b""
        client.join()


def test_no_setting_of_the_user_reaches_a_test(isolated_user: Path, tmp_path: Path) -> None:
    assert Path.home() == isolated_user
    assert list(isolated_user.iterdir()) == []
    assert Path(os.environ["DOCKER_CONFIG"]).parent == isolated_user
    assert isolated_user not in tmp_path.parents
    assert not {"CI", "HUB", "TAG", "GOFLAGS", "SOURCE_DATE_EPOCH"} & set(os.environ)
    assert not [name for name in os.environ if name.startswith(("GITHUB_", "INVOKE_"))]


def test_zone_and_umask_are_the_same_everywhere(tmp_path: Path) -> None:
    assert time.tzname == ("UTC", "UTC")
    file = tmp_path / "file"
    file.touch(mode=0o666)
    assert file.stat().st_mode & 0o777 == 0o644


def test_no_directory_of_tests_is_passed_over(pytestconfig: pytest.Config) -> None:
    patterns = [text for text in pytestconfig.getini("norecursedirs") if text != "__pycache__"]
    folders = {path.parent for path in (pytestconfig.rootpath / "tests").rglob("test_*.py")}
    assert len(folders) > 1
    names = {name for folder in folders for name in folder.relative_to(pytestconfig.rootpath).parts}
    hidden = [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
    assert hidden == []
