"""The docker CLI's builder: what it is asked to do, and what it is not trusted with."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from buildkit.errors import BuildError, ConfigError, EnvironmentMissingError
from buildkit.images.buildx import BuildxBackend, buildx_problem, buildx_text, docker_program
from buildkit.images.docker import Job
from buildkit.images.recipe import Recipe, recipe_of
from buildkit.images.stages import platform_args
from buildkit.oci.layer import file
from buildkit.platform import Platform
from tests.fakes.runner import Call, FakeRunner
from tests.unit.images.fake_docker import FakeDocker

ARM = Platform.parse("linux/arm64")
TEXT = """\
# syntax=docker/dockerfile:1
FROM unused AS u
FROM --platform=linux/arm64 golang:1 \\
  AS make
RUN --mount=type=cache,target=/c make
FROM base:1
ARG V=1
COPY --chmod=755 pilot /
COPY --from=tools:1 /t /t
COPY --from=make /m /m
"""


def recipe(text: str = TEXT, **given: str) -> Recipe:
    entries = (file("other", b"o"), file("pilot", b"p", 0o755))
    return recipe_of(text, entries, origin="D", args=platform_args(ARM), given=given)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.fake = FakeDocker()
        self.built = self.fake.add("built", "linux/arm64")
        self.answer = (0, b"", b"")
        self.seen: dict[str, bytes] = {}
        self.environ = {"PATH": str(folder / "bin"), "HOME": "/h", "SECRET": "s"}
        (folder / "bin").mkdir()
        program = folder / "bin" / "docker"
        program.write_text("")
        program.chmod(0o755)
        self.job = Job(
            unit="image/x@linux/arm64",
            platform=ARM,
            recipe=recipe(),
            bases={1: "local/golang:arm", 2: "local/base:arm"},
            images={"tools:1": "local/tools:arm"},
            args={"V": "2"},
            folder=folder,
        )
        self.runner = FakeRunner(self._run)

    def _run(self, call: Call) -> tuple[int, bytes, bytes]:
        context = Path(call.argv[-1])
        for path in context.rglob("*"):
            self.seen[f"{path.relative_to(context)} {path.stat().st_mode & 0o777:o}"] = (
                path.read_bytes()
            )
        if self.answer[0] == 0:
            Path(call.argv[call.argv.index("--iidfile") + 1]).write_text(self.built)
        return self.answer

    def backend(self, **environ: str) -> BuildxBackend:
        return BuildxBackend(runner=self.runner, environ={**self.environ, **environ})

    def build(self, **environ: str) -> tuple[str, ...]:
        image = self.backend(**environ).build(self.fake.client, self.job, lambda _: None)
        assert image.id == self.built
        (call,) = self.runner.calls
        return call.argv


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_it_is_asked_for_one_platform_with_its_arguments(scene: Scene) -> None:
    argv = scene.build()
    assert argv[1:4] == ("buildx", "build", "--builder")
    assert {"--platform=linux/arm64", "--build-arg=V=2", "--load"} <= set(argv)


def test_the_context_is_what_is_copied_with_our_modes(scene: Scene) -> None:
    scene.build()
    assert scene.seen == {"pilot 755": b"p"}


@pytest.mark.parametrize(
    ("environ", "builder"),
    [
        ({}, "default"),
        ({"DOCKER_CONTEXT": "colima"}, "colima"),
        ({"DOCKER_CONTEXT": "colima", "DOCKER_HOST": "unix:///d"}, "default"),
    ],
)
def test_the_builder_is_the_daemons_own(
    scene: Scene, environ: dict[str, str], builder: str
) -> None:
    argv = scene.build(**environ)
    assert argv[argv.index("--builder") + 1] == builder


def test_the_command_sees_of_the_environment_what_it_needs(scene: Scene) -> None:
    scene.build(HTTPS_PROXY="http://p", BUILDX_BUILDER="mine")
    env = scene.runner.calls[0].env
    assert {"HOME", "PATH", "HTTPS_PROXY"} <= set(env)
    assert not {"SECRET", "BUILDX_BUILDER"} & set(env)


def test_what_stages_start_from_and_copy_from_gets_its_name_in_the_daemon(scene: Scene) -> None:
    assert buildx_text(scene.job).split("\n") == [
        "# syntax=docker/dockerfile:1",
        "FROM unused AS u",
        "FROM --platform=linux/arm64 local/golang:arm AS make",
        "",
        "RUN --mount=type=cache,target=/c make",
        "FROM local/base:arm",
        "ARG V=1",
        "COPY --chmod=755 pilot /",
        "COPY --from=local/tools:arm /t /t",
        "COPY --from=make /m /m",
        "",
    ]


def test_a_failure_has_the_words_of_buildkit(scene: Scene) -> None:
    scene.answer = (1, b"", b"ERROR: process make did not complete")
    with pytest.raises(BuildError, match="image/x@linux/arm64 cannot be built") as caught:
        scene.build()
    assert caught.value.details == "ERROR: process make did not complete"


def test_a_result_of_another_platform_is_an_error(scene: Scene) -> None:
    scene.built = scene.fake.add("other", "linux/amd64")
    with pytest.raises(BuildError, match="came out as linux/amd64"):
        scene.build()


def test_an_image_that_is_not_there_is_an_error(scene: Scene) -> None:
    scene.built = "sha256:" + "0" * 64
    with pytest.raises(BuildError) as caught:
        scene.build()
    assert caught.value.details == "buildx names no image."


def checked(scene: Scene, text: str, version: str = "20.10.24+dfsg1", *names: str) -> None:
    client = cast("Any", scene.fake.client)
    client.version = lambda: {"Version": version}
    scene.backend().check(client, recipe(text), names)


def test_a_here_document_needs_a_newer_daemon_or_front_end(scene: Scene) -> None:
    text = "FROM a\nUSER 1\nRUN <<E\nmake\nE\n"
    with pytest.raises(ConfigError, match=r"line 3: a here-document needs Docker 23 .* 20\.10\.24"):
        checked(scene, text)
    checked(scene, text, "23.0.1")
    checked(scene, text, "dev")
    checked(scene, f"# syntax=docker/dockerfile:1\n{text}")
    with pytest.raises(ConfigError, match="line 5: a here-document needs Docker 23"):
        checked(scene, f"# below a comment it is one\n# syntax=docker/dockerfile:1\n{text}")
    checked(scene, "FROM a\nRUN --mount=type=cache,target=/c make\n")


# What the BuildKit of Docker 20.10 says, with its first lines left out.
UNREACHED = b"""\
#3 resolve image config for docker.io/docker/dockerfile:1
#3 ERROR: failed to do request: Head "https://registry.example.com/v2/": no such host
------
 > resolve image config for docker.io/docker/dockerfile:1:
------
ERROR: failed to solve: rpc error: code = Unknown desc = failed to solve with frontend
"""


def test_a_front_end_image_that_cannot_be_fetched_is_named_with_its_line(scene: Scene) -> None:
    scene.answer = (1, b"", UNREACHED)
    words = "D, line 1: the front end image docker/dockerfile:1 cannot be had"
    with pytest.raises(BuildError, match=words) as caught:
        scene.build()
    assert "no such host" in caught.value.details
    assert "leave the line out, with Docker 23 or newer" in caught.value.resolution


def test_a_failure_is_not_the_front_ends_where_there_is_none(scene: Scene) -> None:
    scene.answer = (1, b"", UNREACHED)
    scene.job = replace(scene.job, recipe=recipe("FROM a\nUSER 1\n"), bases={0: "a"})
    with pytest.raises(BuildError, match="image/x@linux/arm64 cannot be built"):
        scene.build()


def test_an_image_that_is_not_pinned_is_not_copied_from(scene: Scene) -> None:
    text = "FROM a\nCOPY --from=tools:1 /x /\n"
    with pytest.raises(ConfigError, match="line 2: COPY --from=tools:1 names an image"):
        checked(scene, text)
    checked(scene, text, "20.10", "tools:1")


def test_whether_it_can_be_used_is_asked_of_the_command(scene: Scene, tmp_path: Path) -> None:
    assert buildx_problem(FakeRunner(lambda _: (0, b"", b"")), scene.environ, tmp_path) == ""
    without = FakeRunner(lambda _: (1, b"", b"docker: 'buildx' is not a docker command."))
    assert "has no buildx" in buildx_problem(without, scene.environ, tmp_path)
    nowhere = {**scene.environ, "PATH": str(tmp_path)}
    assert buildx_problem(without, nowhere, tmp_path) == "there is no docker command"
    with pytest.raises(EnvironmentMissingError):
        docker_program(nowhere)


def test_names_in_a_continued_line_are_written_too(scene: Scene) -> None:
    text = 'FROM base:1\nCOPY --chown=1 \\\n  --from="tools:1" /t /t\n'
    job = replace(scene.job, recipe=recipe(text), bases={0: "local/base:arm"})
    assert "  --from=local/tools:arm /t /t" in buildx_text(job).split("\n")
