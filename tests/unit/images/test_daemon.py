from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from docker.errors import DockerException

from buildkit.errors import BuildError, EnvironmentMissingError, RegistryError
from buildkit.images import daemon
from buildkit.images.daemon import (
    daemon_errors,
    daemon_platform,
    find_image,
    follow,
    named_images,
)
from buildkit.platform import Platform
from tests.unit.images.fake_docker import FakeDocker, refused


def test_a_stream_gives_progress_without_noise_and_its_aux_entries() -> None:
    lines: list[str] = []
    found = follow(
        [
            {"stream": "Step 1/2 : FROM x"},
            {"stream": "\n"},
            {"stream": " ---> 123456\n"},
            {"stream": "Step 1/2 : FROM x"},
            {"status": "Pushing", "id": "abc", "progress": "[=>] 1MB/2MB"},
            {"aux": {"ID": "sha256:1"}},
            {"stream": "Successfully built 123456\n"},
        ],
        lines.append,
        brief="x",
    )
    assert lines == ["Step 1/2 : FROM x", "abc Pushing [=>] 1MB/2MB"]
    assert found == ({"ID": "sha256:1"},)


@pytest.mark.parametrize(
    "entry",
    [
        {"errorDetail": {"message": "no space"}, "error": "no space"},
        {"error": "no space"},
        {"errorDetail": {"code": 1, "message": "no space"}},
    ],
)
def test_an_error_entry_anywhere_is_an_error_with_the_lines_before_it(
    entry: dict[str, object],
) -> None:
    entries: list[dict[str, object]] = [{"stream": "compiling"}, entry, {"stream": "not shown"}]
    with pytest.raises(RegistryError) as caught:
        follow(entries, daemon.silent, brief="it failed", family=RegistryError)
    assert caught.value.brief == "it failed"
    assert caught.value.details == "compiling\nno space"


@pytest.mark.parametrize("breaks", [False, True])
def test_a_stream_with_an_error_is_read_to_its_end_which_changes_nothing(breaks: bool) -> None:
    def stream() -> Iterator[dict[str, object]]:
        yield {"error": "no space"}
        ended.append(True)
        if breaks:
            raise ConnectionResetError("reset")

    ended: list[bool] = []
    with pytest.raises(BuildError) as caught:
        follow(stream(), daemon.silent, brief="x")
    assert (caught.value.details, ended) == ("no space", [True])


def test_an_error_without_words_is_still_an_error() -> None:
    with pytest.raises(BuildError, match="gave no reason"):
        follow([{"errorDetail": None}], daemon.silent, brief="x")


def test_only_the_last_lines_are_shown() -> None:
    entries = [*({"stream": f"line {number}"} for number in range(50)), {"error": "end"}]
    with pytest.raises(BuildError) as caught:
        follow(entries, daemon.silent, brief="x")
    assert caught.value.details.splitlines()[0] == "line 30"


def test_what_the_sdk_raises_keeps_the_daemons_words() -> None:
    with pytest.raises(BuildError, match="dockerfile parse error"), daemon_errors("brief"):
        raise refused("dockerfile parse error line 2")
    reset = "connection to the Docker daemon failed: reset"
    with pytest.raises(BuildError, match=reset), daemon_errors("brief"):
        raise ConnectionResetError("reset")


def test_presence_is_asked_once_for_all() -> None:
    fake = FakeDocker()
    here = fake.add("a:1", "linux/amd64")
    fake.images[here]["RepoTags"] = ["a:1", "a:2"]
    fake.images[fake.add("untagged", "linux/amd64")]["RepoTags"] = None
    assert named_images(fake.client) == {"a:1": here, "a:2": here}


def test_an_image_that_is_not_there_is_none() -> None:
    fake = FakeDocker()
    identity = fake.add("a:1", "linux/arm64", ("sha256:l",))
    assert find_image(fake.client, "b:1") is None
    found = find_image(fake.client, "a:1")
    assert found is not None
    assert (found.id, str(found.platform)) == (identity, "linux/arm64")
    assert found.diff_ids == ("sha256:l",)


def test_the_daemons_platform_is_its_own_not_this_machines() -> None:
    assert daemon_platform(FakeDocker(native="linux/arm64").client) == Platform("linux", "arm64")


def wrapped(cause: BaseException) -> DockerException:
    error = DockerException("Error while fetching server API version")
    error.__cause__ = ConnectionError("Connection aborted.", cause)
    return error


@pytest.mark.parametrize(
    ("cause", "words", "advice"),
    [
        (PermissionError(13, "denied"), "may not be opened", "group"),
        (FileNotFoundError(2, "none"), "there is no Docker daemon", "Install Docker"),
        (ConnectionRefusedError(111, "refused"), "is not running", "start it"),
        (ValueError("strange"), "cannot be used", "docker version"),
    ],
)
def test_why_a_daemon_cannot_be_used_is_said(
    monkeypatch: pytest.MonkeyPatch, cause: BaseException, words: str, advice: str
) -> None:
    def fail(**_: object) -> None:
        raise wrapped(cause)

    monkeypatch.setattr("docker.from_env", fail)
    with pytest.raises(EnvironmentMissingError) as caught:
        daemon.connect({})
    assert words in caught.value.brief
    assert advice in caught.value.resolution
    problem = daemon.daemon_problem({})
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ({"ApiVersion": "1.40", "Version": "19.03", "Os": "linux"}, "too old: It is 19.03"),
        ({"ApiVersion": "1.41", "Os": "windows"}, "runs no Linux containers"),
        ({"ApiVersion": "1.52", "Os": "linux"}, None),
    ],
)
def test_an_old_or_foreign_daemon_is_refused(
    monkeypatch: pytest.MonkeyPatch, version: dict[str, str], words: str | None
) -> None:
    client = SimpleNamespace(version=lambda: version, close=lambda: None)
    monkeypatch.setattr("docker.from_env", lambda **_: client)
    problem = daemon.daemon_problem({})
    assert (words is None) == (problem is None)
    assert (words or "") in (problem or "")
