"""The OCI engine: a rendered Dockerfile becomes an image without a daemon.

It does what needs no process of the image: copying files and writing the config.
BuildKit is the reference for both. What else a Dockerfile may hold is refused by
line, never passed over.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

from msgspec import Struct, structs
from msgspec.structs import replace

from buildkit.errors import BuildkitError
from buildkit.images.contents import contents_problem
from buildkit.images.copying import Changes, CopyRequest, find_sources
from buildkit.images.dockerfile import Dockerfile, Instruction
from buildkit.images.layers import Layers
from buildkit.images.local import base_config
from buildkit.images.owners import find_owner
from buildkit.images.recipe import Recipe
from buildkit.images.runtime import Running, apply_instruction
from buildkit.images.sheet import Sheet, SheetLayer
from buildkit.images.stages import SCRATCH, Copy, Stage, arg_values, expand_word, with_path
from buildkit.images.tree import Tree
from buildkit.images.unpacking import unpacked
from buildkit.oci.config import ImageConfig, RootFs, Step
from buildkit.oci.image import timestamp
from buildkit.oci.layer import parents
from buildkit.plan.units import Artifact
from buildkit.platform import Platform

_KNOWN_FLAGS = {
    "ADD": frozenset({"chmod", "chown"}),
    "COPY": frozenset({"chmod", "chown", "from"}),
    "FROM": frozenset({"platform"}),
    "HEALTHCHECK": frozenset({"interval", "retries", "start-interval", "start-period", "timeout"}),
}
FindImage = Callable[[str, Platform], Sheet]
"""Gives an image of a name that a Dockerfile starts or copies from, for a platform."""


def refusal(dockerfile: Dockerfile, stages: tuple[Stage, ...]) -> BuildkitError | None:
    """Return an error at the first line that needs a daemon; None where nothing does."""
    found: list[tuple[int, str]] = []
    for stage in stages:
        for item in (stage.start, *stage.instructions):
            problem = _problem(item)
            if problem:
                found.append((item.line, problem))
        found += [
            (copy.instruction.line, "ADD of an address is done by a daemon alone")
            for copy in stage.copies
            if copy.is_remote
        ]
    if not found:
        return None
    line, problem = min(found)
    return dockerfile.error(
        line,
        problem,
        resolution="Leave it out, or let --engine auto take the daemon's builder that knows it.",
    )


def _problem(item: Instruction) -> str:
    if item.name in {"RUN", "ONBUILD"}:
        return f"{item.name} needs a daemon, the OCI engine starts no process"
    if item.heredocs:
        return "a here-document is not read by the OCI engine"
    unknown = [name for name, _ in item.flags if name not in _KNOWN_FLAGS.get(item.name, ())]
    return f"{item.name} --{unknown[0]} is not done by the OCI engine" if unknown else ""


class Assembly(Struct, frozen=True, kw_only=True):
    """One image to assemble.

    Attributes:
        recipe: the Dockerfile, the stages that count, the context's files.
        platform: the target.
        find: gives the images that stages start from and copy from.
        layers: turns files into layers.
        epoch: the time of creation to write down, seconds since 1970.
        programs: the binaries that were made for it.
    """

    recipe: Recipe
    platform: Platform
    find: FindImage
    layers: Layers
    epoch: int
    programs: tuple[Artifact, ...] = ()

    def sheet(self) -> Sheet:
        """Assemble the last stage.

        Raises:
            ConfigError: an instruction cannot be carried out; the message names the line.
            RegistryError: an image to start from cannot be had.
        """
        done: dict[int, _Stage] = {}
        for stage in self.recipe.stages:
            done[stage.index] = self._stage(stage, done)
        return self._sheet(done[self.recipe.stages[-1].index])

    def _stage(self, stage: Stage, done: Mapping[int, _Stage]) -> _Stage:
        state = self._start(stage, done)
        copies = {copy.instruction.line: copy for copy in stage.copies}
        for item in stage.instructions:
            match item.name:
                case "ARG":
                    self._declare(state, item)
                case "COPY" | "ADD":
                    self._copy(state, copies[item.line], done)
                case "WORKDIR":
                    self._work_in(state, item)
                case _:
                    state.running = apply_instruction(state.running, item, self.recipe.dockerfile)
                    state.note(f"{item.name} {item.value}")
        return state

    def _start(self, stage: Stage, done: Mapping[int, _Stage]) -> _Stage:
        if isinstance(stage.base, int):
            return done[stage.base].child()
        wanted = Platform.parse(stage.platform) if stage.platform else self.platform
        sheet = self._image(stage.base, wanted)
        config = sheet.image_config
        if config.run.on_build:
            raise self.recipe.dockerfile.error(
                stage.start.line,
                f"{stage.base} has ONBUILD triggers, which need a daemon",
                resolution="Use --engine docker for this image, or another base.",
            )
        variables = with_path(config.run.environment)
        env = tuple(f"{name}={value}" for name, value in variables.items())
        run = structs.replace(config.run, env=env)
        return _Stage(
            tree=self._tree(sheet),
            layers=list(sheet.layers),
            running=Running(config=run, author=config.author, variables=variables),
            history=list(config.history or ()),
            platform=config.platform,
        )

    def _image(self, name: str, platform: Platform) -> Sheet:
        if name == SCRATCH:
            return Sheet(config=base_config(platform, None).decode())
        return self.find(name, platform)

    def _tree(self, sheet: Sheet) -> Tree:
        return Tree.of(*(self.layers.entries(layer) for layer in sheet.layers))

    def _declare(self, state: _Stage, item: Instruction) -> None:
        running = state.running
        recipe = self.recipe
        values = arg_values(recipe.dockerfile, item, running.variables, recipe.scope, recipe.given)
        state.running = replace(running, variables={**running.variables, **values})
        state.note(f"ARG {item.value}")

    def _work_in(self, state: _Stage, item: Instruction) -> None:
        running = apply_instruction(state.running, item, self.recipe.dockerfile)
        changes = self._changes(state, item)
        path = running.config.working_dir
        # BuildKit makes the directory for the USER in force.
        owner = None
        if running.config.user and not changes.tree.is_directory(changes.resolve(path)):
            owner = find_owner(changes.tree, running.config.user, changes.refuse)
        changes.make_directory(path, owner)
        state.running = running
        self._commit(state, changes, f"WORKDIR {path}")

    def _copy(self, state: _Stage, copy: Copy, done: Mapping[int, _Stage]) -> None:
        item = copy.instruction
        changes = self._changes(state, item)
        request = CopyRequest(
            sources=copy.sources,
            target=_target(state.running, copy),
            owner=self._owner(state, item, changes),
            mode=self._mode(state, item, changes),
        )
        if len(copy.sources) > 1 and not request.target.endswith("/"):
            raise changes.refuse(
                f"{item.name} of several sources needs a target that ends in a slash"
            )
        source = self._source(copy, done)
        if item.name == "ADD":
            self._add(changes, source, request)
        else:
            changes.copy(source, request)
        self._commit(state, changes, f"{item.name} {item.value}")

    def _source(self, copy: Copy, done: Mapping[int, _Stage]) -> Tree:
        match copy.origin:
            case None:
                return Tree.of(self.recipe.entries)
            case int():
                return done[copy.origin].tree
            case str():
                return self._tree(self._image(copy.origin, self.platform))

    def _add(self, changes: Changes, source: Tree, request: CopyRequest) -> None:
        # BuildKit does not give what an archive holds to --chown.
        for pattern in request.sources:
            for name in find_sources(source, pattern, changes.refuse):
                entry = source.find(name)
                held = unpacked(entry, self.layers.store, changes.refuse) if entry else None
                if held is None:
                    changes.copy_path(source, name, request)
                else:
                    changes.unpack(held, request.target, request.owner)

    def _owner(self, state: _Stage, item: Instruction, changes: Changes) -> tuple[int, int] | None:
        text = self._flag(state, item, "chown")
        if text:
            return find_owner(state.tree, text, changes.refuse)
        return None

    def _mode(self, state: _Stage, item: Instruction, changes: Changes) -> int | None:
        text = self._flag(state, item, "chmod")
        if not text:
            return None
        try:
            mode = int(text, 8)
        except ValueError:
            mode = -1
        if mode & 0o7777 != mode:
            raise changes.refuse(f"--chmod={text} is no octal mode")
        return mode

    def _flag(self, state: _Stage, item: Instruction, name: str) -> str:
        value = item.flag(name) or ""
        return expand_word(self.recipe.dockerfile, item, value, state.running.variables)

    def _changes(self, state: _Stage, item: Instruction) -> Changes:
        return Changes(
            tree=state.tree, refuse=lambda problem: self.recipe.dockerfile.error(item.line, problem)
        )

    def _commit(self, state: _Stage, changes: Changes, created_by: str) -> None:
        if not changes.made:
            state.note(created_by)
            return
        above = {name for path in changes.made for name in parents(path)} - changes.made.keys()
        entries = [*changes.made.values(), *filter(None, map(state.tree.get, sorted(above)))]
        state.layers.append(self.layers.describe(entries))
        state.note(created_by, empty=False)

    def _sheet(self, state: _Stage) -> Sheet:
        created = timestamp(self.epoch)
        config = ImageConfig(
            architecture=state.platform.arch,
            os=state.platform.os,
            variant=state.platform.variant,
            created=created,
            author=state.running.author,
            config=state.running.config,
            rootfs=RootFs(diff_ids=tuple(layer.diff_id for layer in state.layers)),
            history=tuple(
                item if item.created else structs.replace(item, created=created)
                for item in state.history
            ),
        )
        return Sheet(
            config=config.encode().decode(),
            layers=tuple(state.layers),
            problem=contents_problem(
                state.tree, state.running.config, state.platform, self.programs
            ),
        )


class _Stage(Struct, kw_only=True):
    """A stage while it grows."""

    tree: Tree
    layers: list[SheetLayer]
    running: Running
    history: list[Step]
    platform: Platform

    def child(self) -> _Stage:
        """Return a stage that starts from this one; its CMD counts as one from below."""
        return _Stage(
            tree=self.tree.copy(),
            layers=list(self.layers),
            running=replace(self.running, has_cmd=False),
            history=list(self.history),
            platform=self.platform,
        )

    def note(self, created_by: str, *, empty: bool = True) -> None:
        """Add a line to the history."""
        self.history.append(Step(created_by=created_by, empty_layer=empty))


def _target(running: Running, copy: Copy) -> str:
    path = posixpath.normpath(posixpath.join("/", running.config.working_dir, copy.target))
    path = "/" + path.lstrip("/")
    means_directory = copy.target.endswith(("/", "/.")) or copy.target == "."
    return path.rstrip("/") + "/" if means_directory or path == "/" else path
