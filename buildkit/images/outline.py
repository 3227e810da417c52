"""Dockerfiles that are used as they are, as far as planning must know them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from buildkit.images.dockerfile import Dockerfile, Instruction, parse
from buildkit.images.render import read_template
from buildkit.images.stages import Stage, platform_args, reachable, stages_of, up_to_stage
from buildkit.plan.outline import Copied, Line, Outline, Start
from buildkit.platform import Platform


class Outlines:
    """Reads outlines; each file is parsed once."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[Path, str], Dockerfile] = {}

    def read(
        self, path: Path, args: Mapping[str, str], platform: Platform, target: str = ""
    ) -> Outline:
        """Return what a Dockerfile asks for.

        Args:
            path: the file.
            args: the values that are given to its ARGs.
            platform: the target.
            target: the stage that is the image; empty for the last.

        Raises:
            ConfigError: the file is wrong; the message names the line.
        """
        key = (path, target)
        if key not in self._parsed:
            whole = parse(read_template(path), origin=os.path.normpath(path))
            self._parsed[key] = parse(up_to_stage(whole, target), origin=os.path.normpath(path))
        return outline_of(self._parsed[key], args, platform)


def outline_of(dockerfile: Dockerfile, args: Mapping[str, str], platform: Platform) -> Outline:
    """Return what a parsed Dockerfile asks for, see :meth:`Outlines.read`."""
    predefined = platform_args(platform, Platform("linux", Platform.host().arch))
    stages = reachable(stages_of(dockerfile, predefined, given=args))
    by_index = {stage.index: stage for stage in stages}
    last = stages[-1]
    while isinstance(last.base, int):
        last = by_index[last.base]
    starts = dict.fromkeys(
        start for stage in stages for start in _starts(dockerfile, stage, platform)
    )
    return Outline(
        stages=tuple(by_index),
        starts=tuple(starts),
        base=_start(dockerfile, last, platform),
        copied=tuple(item for stage in stages for item in _copied(dockerfile, stage)),
        declared=frozenset(
            name for item in dockerfile.instructions for name in _names(item) if item.name == "ARG"
        ),
        args=tuple(sorted(_used(stages, args).items())),
    )


def _starts(dockerfile: Dockerfile, stage: Stage, platform: Platform) -> Iterator[Start]:
    if isinstance(stage.base, str):
        yield _start(dockerfile, stage, platform)
    for item, origin in zip(stage.instructions, stage.origins, strict=True):
        if isinstance(origin, str):
            yield Start(name=origin, platform=platform, line=_line(dockerfile, item))


def _start(dockerfile: Dockerfile, stage: Stage, platform: Platform) -> Start:
    wanted = Platform.parse(stage.platform) if stage.platform else platform
    return Start(name=str(stage.base), platform=wanted, line=_line(dockerfile, stage.start))


def _copied(dockerfile: Dockerfile, stage: Stage) -> Iterator[Copied]:
    for copy in stage.copies:
        if copy.origin is None and not copy.instruction.heredocs and not copy.is_remote:
            line = _line(dockerfile, copy.instruction)
            for source in copy.sources:
                yield Copied(path=posixpath.normpath(source.lstrip("/") or "."), line=line)


def _line(dockerfile: Dockerfile, item: Instruction) -> Line:
    text = dockerfile.text.split("\n")[item.line - 1].strip()
    return Line(file=dockerfile.origin, number=item.line, text=text)


def _used(stages: tuple[Stage, ...], args: Mapping[str, str]) -> dict[str, str]:
    items = (item for stage in stages for item in stage.instructions if item.name == "ARG")
    names = {name for item in items for name in _names(item)}
    return {name: text for name, text in args.items() if name in names}


def _names(item: Instruction) -> set[str]:
    return {word.partition("=")[0] for word in item.words}
