"""What must hold between the tables of ``targets.toml``, checked before anything starts."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from buildkit.config.check_dockerfiles import check_dockerfiles, check_variants
from buildkit.config.check_fetch import check_fetches
from buildkit.config.check_names import check_platforms as _platforms
from buildkit.config.check_names import check_variables
from buildkit.config.commands import COMMAND_FILE, check_commands, check_output
from buildkit.config.from_file import rule_problem
from buildkit.config.interpolate import STABLE, TAG, VOLATILE, names_in
from buildkit.config.model import Config, FromFile, Image, RemoteTree
from buildkit.config.problems import Problems, near_miss
from buildkit.config.remote_tree import check_tree
from buildkit.errors import ConfigError
from buildkit.platform import GO_PLATFORMS
from buildkit.reference import Reference, check_tag, is_prefix, split_hub

_STAMP = re.compile(r"[\w./~-]+\.\w+")


def cross_check(config: Config, root: Path, problems: Problems) -> None:
    """Add every broken relation between tables to ``problems``."""
    _project(config, problems)
    _version(config, problems)
    _matrix(config, problems)
    _go(config, problems)
    check_fetches(config, problems)
    _bases(config, problems)
    _mirrors(config, problems)
    check_commands(config, root, problems)
    for name, image in config.images.items():
        _image(config, name, image, root, problems)
    _image_cycles(config, problems)
    check_dockerfiles(config, root, problems)
    check_variants(config, problems)
    _registry(config, problems)
    _smoke(config, root, problems)


def image_platforms(config: Config, image: Image) -> tuple[str, ...]:
    """Return an image's platforms: its own, or the Linux ones of the matrix."""
    if image.platforms is not None:
        return image.platforms
    return tuple(name for name in config.matrix.platforms if name.startswith("linux/"))


def binary_platforms(config: Config, name: str) -> tuple[str, ...]:
    """Return the platforms that a compiled or fetched binary exists for."""
    if name in config.binaries:
        own = config.binaries[name].platforms
        return config.matrix.platforms if own is None else own
    return tuple(p for source in config.fetch[name].source for p in source.platforms)


def _project(config: Config, problems: Problems) -> None:
    # Both become labels, which are interpolated.
    for key, text in (("url", config.project.url), ("licenses", config.project.licenses)):
        check_variables(text, STABLE | VOLATILE, f"project.{key}", problems)
    if isinstance(config.project.source, RemoteTree):
        check_tree(config.project.source, problems)


def _version(config: Config, problems: Problems) -> None:
    rule = config.version
    if (rule.json or rule.line) and not rule.file:
        problems.add("version", "json and line need the file that they look into")
    if rule.suffix and not rule.file:
        problems.add("version", "suffix needs the file whose version it ends")
    _rule(FromFile(file=rule.file, json=rule.json, line=rule.line), "version", problems)
    for name, fetch in config.fetch.items():
        if isinstance(fetch.version, FromFile):
            _rule(fetch.version, f"fetch.{name}.version", problems)


def _rule(rule: FromFile, path: str, problems: Problems) -> None:
    if problem := rule_problem(rule):
        problems.add(path, problem)


def _matrix(config: Config, problems: Problems) -> None:
    _platforms(config.matrix.platforms, GO_PLATFORMS, "matrix.platforms", problems)
    if not config.matrix.platforms:
        problems.add("matrix.platforms", "no platform", "name at least one, such as linux/amd64")
    if isinstance(config.matrix.default, tuple):
        _platforms(config.matrix.default, config.matrix.platforms, "matrix.default", problems)
    for kind, table in (("binaries", config.binaries), ("images", config.images)):
        for name, item in table.items():
            _platforms(
                item.platforms or (),
                config.matrix.platforms,
                f"{kind}.{name}.platforms",
                problems,
            )


def _go(config: Config, problems: Problems) -> None:
    for name, binary in config.binaries.items():
        if binary.group is not None and binary.group not in config.go.group:
            problems.add(
                f"binaries.{name}.group",
                f"unknown group '{binary.group}'",
                near_miss(binary.group, config.go.group),
            )
        if not binary.package.strip():
            problems.add(f"binaries.{name}.package", "the package is empty")
        elif "..." in binary.package:
            problems.add(f"binaries.{name}.package", "'...' stands for many packages")
    if "default" in config.go.group:
        problems.add("go.group.default", "the name stands for binaries without a group")
    _output_names(config, problems)
    _specifier(config.go.version, problems)
    for variable, text in config.stamps.items():
        path = f'stamps."{variable}"'
        if not _STAMP.fullmatch(variable):
            problems.add(path, "not a Go variable", "write it as import/path.variable")
        check_variables(text, STABLE | VOLATILE, path, problems)


def _output_names(config: Config, problems: Problems) -> None:
    names = [(f"binaries.{name}", name) for name in config.binaries]
    names += [(f"fetch.{name}", name) for name in config.fetch]
    taken = {"logs": "the directory of logs", "command": "the directory of commands"}
    for path, name in names:
        # Many file systems of macOS and Windows tell no case.
        other = taken.setdefault(name.lower(), path)
        if other != path:
            problems.add(path, f"duplicate output name: {other} has it too")


def _specifier(text: str, problems: Problems) -> None:
    if text and not re.fullmatch(r"\s*(===|==|~=|!=|<=|>=|<|>)[^,]+(,[^,]+)*", text):
        problems.add("go.version", f"'{text}' is no version specifier", "write it as '>=1.25'")


def _bases(config: Config, problems: Problems) -> None:
    for name, base in config.bases.items():
        path = f"bases.{name}"
        if base.kind == "debian" and not (base.suite and base.packages):
            problems.add(path, "kind debian needs suite and packages")
        if base.kind == "bootstrap" and not base.suite:
            problems.add(path, "kind bootstrap needs a suite")
        if base.kind == "registry":
            _attempt(partial(Reference.parse, base.reference), path, problems)
        elif base.reference:
            problems.add(f"{path}.reference", f"kind {base.kind} takes no reference")
        if name in config.images:
            problems.add(path, "an image has the same name")


def _mirrors(config: Config, problems: Problems) -> None:
    for prefix, replacement in config.mirrors.items():
        path = f'mirrors."{prefix}"'
        if "://" in prefix:
            if not re.match(r"(https?|file)://", replacement):
                problems.add(path, f"'{replacement}' is no https or file URL, as the prefix is")
            continue
        for text in (prefix, replacement.rstrip("/")):
            if not is_prefix(text):
                problems.add(
                    path,
                    f"'{text}' is no start of image names",
                    "write it as docker.io or gcr.io/team; a URL stands for URLs only",
                )


def _attempt(parse: Callable[[], object], path: str, problems: Problems) -> None:
    try:
        parse()
    except ConfigError as error:
        problems.add(path, error.brief, error.resolution)


def _image(config: Config, name: str, image: Image, root: Path, problems: Problems) -> None:
    path = f"images.{name}"
    _attempt(partial(Reference.parse, f"localhost/{name}"), path, problems)
    known = config.bases.keys() | config.images.keys()
    for base in image.base:
        if base not in known:
            problems.add(f"{path}.base", f"unknown base '{base}'", near_miss(base, known))
    if not image.base and not image.dockerfile:
        problems.add(f"{path}.base", "no base", "scratch is one too: name it in [bases]")
    for binary in image.binaries:
        _image_binary(config, name, image, binary, problems)
    _image_files(config, image, path, root, problems)
    template = image.template or f"images/{name}/Dockerfile.j2"
    if not image.dockerfile and not (root / template).is_file():
        problems.add(f"{path}.template", f"'{template}' does not exist")
    check_variables(image.description, STABLE | VOLATILE, f"{path}.description", problems)
    for key, text in image.variables.items():
        check_variables(text, STABLE, f"{path}.variables.{key}", problems)


def _image_files(config: Config, image: Image, path: str, root: Path, problems: Problems) -> None:
    for target, file in image.files.items():
        if target in image.binaries:
            problems.add(f"{path}.files", f"'{target}' is the name of a binary too")
        if file.startswith(COMMAND_FILE):
            check_output(config, file, image_platforms(config, image), f"{path}.files", problems)
        elif not (root / file).exists():
            problems.add(f"{path}.files", f"'{file}' does not exist")


def _image_binary(config: Config, name: str, image: Image, binary: str, problems: Problems) -> None:
    path = f"images.{name}.binaries"
    compiled = config.binaries.keys() | config.fetch.keys()
    if binary in config.command and binary not in compiled:
        file = f"{COMMAND_FILE}{binary}}}/{binary}"
        check_output(config, file, image_platforms(config, image), path, problems)
        return
    known = compiled | config.command.keys()
    if binary not in known:
        problems.add(path, f"unknown binary '{binary}'", near_miss(binary, known))
        return
    missing = [
        p for p in image_platforms(config, image) if p not in binary_platforms(config, binary)
    ]
    if missing:
        problems.add(
            path,
            f"'{binary}' is not built for {', '.join(missing)}, which the image is",
            "give the image its own platforms or the binary more",
        )


def _image_cycles(config: Config, problems: Problems) -> None:
    graph = {
        name: [base for base in image.base if base in config.images]
        for name, image in config.images.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        problems.add(f"images.{error.args[1][0]}.base", f"cycle between images: {circle}")


def _registry(config: Config, problems: Problems) -> None:
    _attempt(partial(split_hub, config.registry.hub), "registry.hub", problems)
    for hub in config.registry.protected:
        _attempt(partial(split_hub, hub), "registry.protected", problems)
    for tag in config.registry.tags:
        if not names_in(tag):
            _attempt(partial(check_tag, tag), "registry.tags", problems)
        check_variables(tag, TAG, "registry.tags", problems)


def _smoke(config: Config, root: Path, problems: Problems) -> None:
    containers = config.smoke.containers
    for name, container in containers.items():
        if container.image not in config.images:
            problems.add(
                f"smoke.containers.{name}.image",
                f"unknown image '{container.image}'",
                near_miss(container.image, config.images),
            )
        _smoke_files(container.copy, f"smoke.containers.{name}.copy", root, problems)
    for number, step in enumerate(config.smoke.steps):
        path = f"smoke.steps[{number}]"
        used = [counter.container for counter in step.counters] + list(step.copy)
        used += [step.request.container] if step.request else []
        for name in used:
            if name not in containers:
                problems.add(path, f"unknown container '{name}'", near_miss(name, containers))
        for files in step.copy.values():
            _smoke_files(files, path, root, problems)


def _smoke_files(files: dict[str, str], path: str, root: Path, problems: Problems) -> None:
    for file in files.values():
        if not (root / file).exists():
            problems.add(path, f"'{file}' does not exist")
