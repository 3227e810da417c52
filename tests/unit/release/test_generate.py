from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import BuildError
from buildkit.release.generate import printed
from tests.fakes.runner import FakeRunner

PROGRAM = Path("/out/istioctl")


def test_a_program_runs_alone_in_an_empty_home() -> None:
    runner = FakeRunner(lambda _: (0, b"complete -F x istioctl\n", b"a warning"))
    assert printed(PROGRAM, ("completion", "bash"), runner) == b"complete -F x istioctl\n"
    (call,) = runner.calls
    assert call.argv == ("/out/istioctl", "completion", "bash")
    assert call.env["HOME"] == str(call.cwd)
    assert set(call.env) == {"HOME", "PATH", "LC_ALL", "TZ", "NO_COLOR"}
    assert not call.cwd.exists()


def test_one_that_fails_is_named_with_its_words() -> None:
    with pytest.raises(BuildError, match="`istioctl completion fish` failed") as caught:
        printed(PROGRAM, ("completion", "fish"), FakeRunner(lambda _: (1, b"", b"no such shell")))
    assert "no such shell" in caught.value.details


def test_one_that_prints_nothing_is_refused() -> None:
    with pytest.raises(BuildError, match="printed nothing") as caught:
        printed(PROGRAM, (), FakeRunner(lambda _: (0, b"", b"")))
    assert "release.archives" in caught.value.resolution
