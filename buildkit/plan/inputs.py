"""The declared inputs of a unit: names and values whose change makes it anew.

Equal inputs give equal bytes; the names are what a reason shows to the user.
What only a builder can find out (the Go files of a package graph) is recorded
beside them as source directories.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import structs

from buildkit.digest import Digest
from buildkit.plan.command_files import command_files
from buildkit.plan.hashing import Hasher
from buildkit.plan.units import (
    Artifact,
    AssembleBase,
    BuildImage,
    BuildPackage,
    Compile,
    Download,
    LoadImage,
    Override,
    PushIndex,
    RunCommand,
    SaveImage,
    Unit,
    WriteLayout,
)

ASSEMBLER = "1"
"""Raised whenever the same inputs would give other bytes than before."""


def inputs(  # noqa: PLR0911 - one for each kind
    unit: Unit, given: Mapping[str, Artifact], hasher: Hasher
) -> dict[str, str]:
    """Return a unit's inputs, taking those of its needs from ``given``."""
    match unit.action:
        case Compile() as action:
            return _compile(action, hasher)
        case Download() as action:
            return _download(action, hasher)
        case RunCommand() as action:
            return _command(unit, action, given, hasher)
        case AssembleBase() as action:
            return _base(action)
        case BuildImage() as action:
            return _image(unit, action, given, hasher)
        case PushIndex() | WriteLayout() | SaveImage() as action:
            return _index(action, given)
        case LoadImage() as action:
            return _load(action, given)
        case BuildPackage() as action:
            return _package(action, given, hasher)


def _compile(action: Compile, hasher: Hasher) -> dict[str, str]:
    found = {
        "the Go toolchain": action.toolchain,
        "the workspace": action.workspace,
        "the package": action.package,
        "the build tags": ",".join(action.tags),
        "the ldflags": " ".join(action.ldflags),
        "the gcflags": " ".join(action.gcflags),
        "cgo": str(action.cgo).lower(),
        "trimpath": str(action.trimpath).lower(),
        "what holds the version": " ".join(action.version_stamps),
    }
    if not action.trimpath:
        found["where the source is"] = str(action.source)
    found |= {
        f"the compiler {path.name}": hasher.digest(path) or "missing" for path in action.compilers
    }
    found |= {f"variable {name}": value for name, value in action.env}
    found |= {f"stamp {name}": value for name, value in action.stamps}
    return found | {f"volatile stamp {name}": text for name, text in action.volatile_stamps}


def _download(action: Download, hasher: Hasher) -> dict[str, str]:
    found = {"strip": str(action.strip).lower()}
    match action.override:
        case Override(path=Path() as path):
            return found | {"the local file": hasher.digest(path) or "missing"}
        case Override(image=image):
            return found | {"the image it is taken from": image}
    # What a file needs of others changes nothing in it.
    pins = [msgspec.to_builtins(structs.replace(pin, glibc="")) for _, pin in action.sources]
    # A pin that is not for these is refused when the unit runs, so it must not look up to date.
    asked = {
        "the version": action.version,
        "the members": " ".join(s.member for s, _ in action.sources),
    }
    return found | asked | {"the pins": str(Digest.of_json(pins))}


def _command(
    unit: Unit, action: RunCommand, given: Mapping[str, Artifact], hasher: Hasher
) -> dict[str, str]:
    found = {
        "the command": shlex.join(action.argv),
        "the directory": action.where,
        "the outputs": " ".join(action.outputs),
        "into the source": str(action.into_source).lower(),
        "the platform": str(unit.platform or ""),
    }
    found |= {f"variable {name}": value for name, value in action.env}
    found |= {need: given[need].digest for need in unit.needs}
    for name, path in command_files(action):
        mode = "executable " if os.access(path, os.X_OK) else ""
        found[f"{mode}file {name}"] = hasher.digest(path) or "missing"
    return found


def _base(action: AssembleBase) -> dict[str, str]:
    return {
        "the base's definition": str(Digest.of_json(action.base)),
        "the package pins": str(Digest.of_json(action.packages)),
        "the pinned digest": action.digest,
        "the assembler": action.assembler,
    }


def _image(
    unit: Unit, action: BuildImage, given: Mapping[str, Artifact], hasher: Hasher
) -> dict[str, str]:
    found = {
        "the template" if action.is_template else "the Dockerfile": (
            hasher.digest(action.template) or "missing"
        ),
        "the base": f"{action.base} {given[action.base].digest}",
        "the assembler": ASSEMBLER,
        "the platform": str(unit.platform),
        "the engine": action.engine,
    }
    if action.image.target:
        found["the stage"] = action.image.target
    found |= {f"start {name}": f"{need} {given[need].digest}" for name, need in action.starts}
    found |= {f"argument {name}": text for name, text in action.args}
    found |= {f"variable {name}": value for name, value in action.variables}
    found |= {f"label {name}": value for name, value in action.labels}
    found |= {f"volatile label {name}": text for name, text in action.volatile_labels}
    return found | _files(action.context, given, hasher)


def _index(
    action: PushIndex | WriteLayout | SaveImage, given: Mapping[str, Artifact]
) -> dict[str, str]:
    found = {f"image {identity}": given[identity].digest for identity in action.images}
    found["the destinations"] = " ".join(action.references)
    found["the compression"] = "gzip" if action.compress else "none"
    return found


def _load(action: LoadImage, given: Mapping[str, Artifact]) -> dict[str, str]:
    found = {f"image {action.image}": given[action.image].digest}
    found["the names"] = " ".join(action.references)
    return found


def _package(action: BuildPackage, given: Mapping[str, Artifact], hasher: Hasher) -> dict[str, str]:
    found = {
        "the package's definition": str(Digest.of_json(action.package)),
        "the version": action.version,
        "the architecture": action.architecture,
        "the project's address": action.url,
        "the licenses": action.licenses,
        "the packager": action.packager,
        "the time": action.created,
    }
    scripts = ((name, hasher.digest(path)) for name, path in action.scripts)
    found |= {f"script {name}": digest or "missing" for name, digest in scripts}
    return found | _files(action.contents, given, hasher)


def _files(
    contents: tuple[tuple[str, str], ...], given: Mapping[str, Artifact], hasher: Hasher
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, need in contents:
        path = need.removeprefix("file:")
        file = hasher.tree(Path(path)) if path != need else given[need].digest
        found[f"file {name}"] = file or "missing"
        if need in given and given[need].problem:
            found[f"the problem of {name}"] = given[need].problem
    return found
