"""What the classic builder of a Docker daemon needs to give BuildKit's result, or a refusal.

The Docker SDK reaches the classic builder only. Seen with Docker 20.10: it
builds stages nothing uses, leaves TARGETARCH and BUILDPLATFORM empty, takes an
image of another platform for ``COPY --from=image`` without a word, reads the
body of a here-document as instructions, and its cache gives `FROM scratch`
images of one platform to another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from buildkit.errors import ConfigError
from buildkit.images.dockerfile import Dockerfile, Instruction
from buildkit.images.stages import NOTHING, PREDEFINED, Copy, Stage

_COPIED_MODE = (
    "Set the mode on the file in the build context: binaries arrive as 0755, "
    "other files keep their executable bit."
)
_LIST_FILES = "List the files that are wanted, one source each."
_NO_SPECIAL_RUN = "Do the step before the build and COPY its result."
_REFUSED = {
    ("ADD", "checksum"): "Declare the file under [fetch.<name>], which pins its sha256.",
    ("ADD", "chmod"): _COPIED_MODE,
    ("ADD", "exclude"): _LIST_FILES,
    ("ADD", "keep-git-dir"): "Fetch the repository before the build.",
    ("ADD", "link"): "Leave it out: the image is the same without it.",
    ("ADD", "unpack"): "Unpack the archive before the build.",
    ("COPY", "chmod"): _COPIED_MODE,
    ("COPY", "exclude"): _LIST_FILES,
    ("COPY", "link"): "Leave it out: the image is the same without it.",
    ("COPY", "parents"): _LIST_FILES,
    ("RUN", "device"): _NO_SPECIAL_RUN,
    ("RUN", "mount"): _NO_SPECIAL_RUN,
    ("RUN", "network"): _NO_SPECIAL_RUN,
    ("RUN", "security"): _NO_SPECIAL_RUN,
}
_KNOWN = {
    "ADD": frozenset({"chown"}),
    "COPY": frozenset({"chown", "from"}),
    "FROM": frozenset({"platform"}),
    "HEALTHCHECK": frozenset({"interval", "retries", "start-period", "timeout"}),
    "RUN": frozenset[str](),
}
_HEREDOC = {
    "ADD": "Put the text in a file and name it under images.<name>.files.",
    "COPY": "Put the text in a file and name it under images.<name>.files.",
    "RUN": "Join the commands with &&, or COPY a script and run it.",
}


class BuildKitNeededError(ConfigError):
    """A Dockerfile holds what the classic builder does not know and BuildKit does."""


def refuse_unsupported(
    dockerfile: Dockerfile, stages: tuple[Stage, ...], images: Collection[str] = ()
) -> None:
    """Check that the classic builder can honour every instruction of these stages.

    Args:
        dockerfile: as it was rendered.
        stages: those that count.
        images: names after ``--from=`` that have an image of the platform in the daemon.

    Raises:
        BuildKitNeededError: BuildKit could; the message names the line and what to write
            instead.
        ConfigError: no builder can.
    """
    for stage in stages:
        for item in (stage.start, *stage.instructions):
            _check_instruction(dockerfile, item)
        for copy in stage.copies:
            _check_copy(dockerfile, copy, images)
    _check_arguments(dockerfile, stages)


def classic_text(
    dockerfile: Dockerfile,
    stages: tuple[Stage, ...],
    bases: Mapping[int, str],
    images: Mapping[str, str] = NOTHING,
) -> str:
    """Return the Dockerfile to send: only these stages, each FROM with its local image.

    Lines keep their numbers, and so do stages: one that is left out becomes a
    FROM without instructions.

    Args:
        dockerfile: as it was rendered.
        stages: the reachable ones.
        bases: image to start from, for every stage that starts from an image.
        images: the daemon's name for what ``--from=`` names.
    """
    lines = dockerfile.text.split("\n")
    kept = {stage.index: stage for stage in stages}
    placeholder = next(iter(bases.values()))
    index = -1
    for item in dockerfile.instructions:
        if item.name == "FROM":
            index += 1
            stage = kept.get(index)
            start = _from_line(stage, kept, bases) if stage else f"FROM {placeholder}"
            lines[item.line - 1 : item.end_line] = [start, *_blank(item)[1:]]
        elif index >= 0 and index not in kept:
            lines[item.line - 1 : item.end_line] = _blank(item)
    name_images(lines, stages, images)
    return "\n".join(lines)


def _from_line(stage: Stage, kept: Mapping[int, Stage], bases: Mapping[int, str]) -> str:
    base = bases[stage.index] if isinstance(stage.base, str) else kept[stage.base].name
    return f"FROM {base} AS {stage.name}" if stage.name else f"FROM {base}"


def _blank(item: Instruction) -> list[str]:
    return [""] * (item.end_line - item.line + 1)


def _check_instruction(dockerfile: Dockerfile, item: Instruction) -> None:
    if item.heredocs:
        found = _needs_buildkit(dockerfile, item, "a here-document", _HEREDOC[item.name])
        raise found if dockerfile.front_end else _with_front_end(found)
    for name, _ in item.flags:
        if (item.name, name) in _REFUSED:
            fix = _REFUSED[item.name, name]
            raise _needs_buildkit(dockerfile, item, f"{item.name} --{name}", fix)
        if name not in _KNOWN.get(item.name, ()):
            raise dockerfile.error(item.line, f"{item.name} knows no --{name}")


def _check_arguments(dockerfile: Dockerfile, stages: tuple[Stage, ...]) -> None:
    # The daemon takes one value for all stages, which wins over a default.
    items = [item for stage in stages for item in stage.instructions if item.name == "ARG"]
    plain = {word for item in items for word in item.words if "=" not in word}
    for item in items:
        mixed = {word.partition("=")[0] for word in item.words if "=" in word} & plain & PREDEFINED
        if mixed:
            raise dockerfile.error(
                item.line,
                f"ARG {min(mixed)} has a default here and none in another line, "
                "which the classic builder does not keep apart",
                resolution="Give the value that is not the platform's another name.",
            )


def name_images(lines: list[str], stages: tuple[Stage, ...], images: Mapping[str, str]) -> None:
    """Write the daemon's names into the lines of a Dockerfile that copy from images."""
    for copy in (copy for stage in stages for copy in stage.copies):
        local = images.get(copy.origin) if isinstance(copy.origin, str) else None
        if local:
            written = re.compile(rf"--from=([\"']?){re.escape(str(copy.origin))}\1(?=\s)")
            for number in range(copy.instruction.line - 1, copy.instruction.end_line):
                lines[number] = written.sub(f"--from={local}", lines[number])


def check_origin(dockerfile: Dockerfile, copy: Copy, images: Collection[str]) -> None:
    """Refuse a copy from an image that the daemon would pull by itself.

    Raises:
        ConfigError: it is one; the message names the line.
    """
    if isinstance(copy.origin, str) and copy.origin not in images:
        raise dockerfile.error(
            copy.instruction.line,
            f"COPY --from={copy.origin} names an image, of which the daemon "
            "takes whatever platform it has",
            resolution=f"Give it a stage: FROM {copy.origin} AS other, then COPY --from=other.",
        )


def _check_copy(dockerfile: Dockerfile, copy: Copy, images: Collection[str]) -> None:
    check_origin(dockerfile, copy, images)
    if copy.is_remote and any(_is_git(source) for source in copy.sources):
        fix = "Fetch the repository before the build."
        raise _needs_buildkit(dockerfile, copy.instruction, "ADD of a git repository", fix)


def _needs_buildkit(
    dockerfile: Dockerfile, item: Instruction, what: str, resolution: str
) -> BuildKitNeededError:
    told = dockerfile.error(
        item.line, f"{what} needs BuildKit, which the Docker SDK does not reach"
    )
    return BuildKitNeededError(
        told.brief,
        details=told.details,
        resolution=f"{resolution} Or use --engine buildx, the docker CLI's builder.",
    )


def _with_front_end(error: BuildKitNeededError) -> BuildKitNeededError:
    return BuildKitNeededError(
        error.brief,
        details=error.details,
        resolution=f"{error.resolution} Before Docker 23 that needs # syntax=docker/dockerfile:1 "
        "in line 1 as well, a front end image that the daemon fetches from Docker Hub.",
    )


def _is_git(source: str) -> bool:
    return source.startswith(("git@", "git://", "ssh://")) or source.partition("#")[0].endswith(
        ".git"
    )
