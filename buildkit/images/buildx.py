"""BuildKit through the docker CLI's buildx, for Dockerfiles that the classic builder refuses.

The builder is the daemon's own (buildx calls its driver ``docker``): it sees the images
of the daemon, so that bases of ours are pinned as everywhere. A builder in a container
does not. Seen with Docker 20.10: its BuildKit knows RUN --mount and COPY --chmod, and
here-documents only with a ``# syntax=`` line, which fetches a newer front end.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from buildkit.errors import BuildError, EnvironmentMissingError
from buildkit.images.classic import check_origin, name_images
from buildkit.images.daemon import LocalImage, find_image
from buildkit.images.docker import Job, check_platform
from buildkit.images.nearby import chosen_context
from buildkit.images.recipe import Recipe
from buildkit.oci.layer import write_layer
from buildkit.plan.units import Progress
from buildkit.proc import Completed, Runner

if TYPE_CHECKING:
    from docker import DockerClient

_PASSED = re.compile(
    r"PATH|HOME|USER|TMPDIR|LANG|SSH_AUTH_SOCK|XDG_.*|DOCKER_.*|(https?|no|all)_proxy",
    re.IGNORECASE,
)
_HEREDOC_VERSION = 23
_NOT_FETCHED = re.compile(r"^ > resolve image config for ", re.MULTILINE)
"""How BuildKit names that failed step, seen with Docker 20.10; bases are looked up otherwise."""


class BuildxBackend(Struct, frozen=True, kw_only=True):
    """The daemon's BuildKit.

    Attributes:
        runner: starts the docker CLI.
        environ: the user's environment; of it the CLI gets what tells it of daemon and proxy.
    """

    runner: Runner
    environ: Mapping[str, str]

    def check(self, client: DockerClient, recipe: Recipe, images: Collection[str]) -> None:
        """Refuse what is not pinned, and here-documents on old daemons, see Backend."""
        for copy in (copy for stage in recipe.stages for copy in stage.copies):
            check_origin(recipe.dockerfile, copy, images)
        items = (item for stage in recipe.stages for item in stage.instructions)
        line = next((item.line for item in items if item.heredocs), 0)
        if not line or recipe.dockerfile.front_end:
            return
        version = str(client.version()["Version"])
        if int(re.sub(r"\D.*", "", version) or _HEREDOC_VERSION) < _HEREDOC_VERSION:
            raise recipe.dockerfile.error(
                line,
                f"a here-document needs Docker 23 or newer, this one is {version}",
                resolution="Let line 1 be # syntax=docker/dockerfile:1, a front end image that the "
                "daemon then fetches from Docker Hub; or put the text in a file.",
            )

    def build(self, client: DockerClient, job: Job, progress: Progress) -> LocalImage:
        """Build an image, see Backend."""
        context, dockerfile = job.folder / "context", job.folder / "Dockerfile"
        _write_folder(job, context)
        dockerfile.write_text(buildx_text(job), encoding="utf-8")
        identity = job.folder / "image"
        progress("built by buildx")
        done = self.runner.run(
            self._command(job, context, dockerfile, identity), env=self._env(job), cwd=job.folder
        )
        _check(done, job)
        image = find_image(client, identity.read_text().strip()) if identity.exists() else None
        if image is None:
            raise BuildError(f"{job.unit} cannot be built", details="buildx names no image.")
        return check_platform(image, job)

    def _command(
        self, job: Job, context: Path, dockerfile: Path, identity: Path
    ) -> tuple[str, ...]:
        args = [f"--build-arg={name}={value}" for name, value in sorted(job.args.items())]
        return (
            *(docker_program(self.environ), "buildx", "build", "--builder", self._builder()),
            *("--load", "--progress=plain", "--provenance=false", f"--platform={job.platform}"),
            *("--iidfile", str(identity), "--file", str(dockerfile), *args, str(context)),
        )

    def _builder(self) -> str:
        # The builder of the daemon itself is called as its context is.
        if self.environ.get("DOCKER_HOST"):
            return "default"
        return chosen_context(self.environ)[0] or "default"

    def _env(self, job: Job) -> dict[str, str]:
        passed = {name: value for name, value in self.environ.items() if _PASSED.fullmatch(name)}
        return passed | {"BUILDX_CONFIG": str(job.folder / "buildx"), "DOCKER_CLI_HINTS": "false"}


def _check(done: Completed, job: Job) -> None:
    front_end = job.recipe.dockerfile.front_end
    if front_end is None or done.returncode == 0 or not _NOT_FETCHED.search(done.output):
        done.check(f"{job.unit} cannot be built")
        return
    line, image = front_end
    raise BuildError(
        f"{job.recipe.dockerfile.origin}, line {line}: the front end image {image} cannot be had",
        details=done.output,
        resolution="The daemon fetches it before it reads the Dockerfile: let it reach that "
        "registry, name a mirror's in that line, or leave the line out, with Docker 23 or newer "
        "or without here-documents.",
    )


def docker_program(environ: Mapping[str, str]) -> str:
    """Return the path of the docker CLI.

    Raises:
        EnvironmentMissingError: there is none.
    """
    found = shutil.which("docker", path=environ.get("PATH", ""))
    if found is None:
        raise EnvironmentMissingError(
            "there is no docker command", resolution="Install the docker CLI with its buildx."
        )
    return found


def buildx_problem(runner: Runner, environ: Mapping[str, str], cwd: Path) -> str:
    """Say why buildx cannot be used; empty where it can."""
    try:
        program = docker_program(environ)
    except EnvironmentMissingError as error:
        return error.brief
    passed = {name: value for name, value in environ.items() if _PASSED.fullmatch(name)}
    done = runner.run((program, "buildx", "version"), env=passed, cwd=cwd)
    return "" if done.returncode == 0 else "the docker command has no buildx; install that plugin"


def buildx_text(job: Job) -> str:
    """Return the Dockerfile to send: as it is, with the daemon's names for what it starts from."""
    dockerfile = job.recipe.dockerfile
    lines = dockerfile.text.split("\n")
    for stage in job.recipe.stages:
        base = job.bases.get(stage.index)
        if base is not None:
            start = f"FROM --platform={stage.platform} " if stage.platform else "FROM "
            start += f"{base} AS {stage.name}" if stage.name else base
            blank = [""] * (stage.start.end_line - stage.start.line)
            lines[stage.start.line - 1 : stage.start.end_line] = [start, *blank]
    name_images(lines, job.recipe.stages, job.images)
    return "\n".join(lines)


def _write_folder(job: Job, context: Path) -> None:
    # BuildKit keeps modes and times of a context's files; a tar of ours has fixed ones.
    archive = job.folder / "context.tar"
    write_layer(job.recipe.entries, archive)
    context.mkdir()
    with tarfile.open(archive) as opened:
        opened.extractall(context, filter="fully_trusted")  # noqa: S202 - our own
    archive.unlink()
