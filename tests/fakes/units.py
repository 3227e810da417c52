"""Units, steps and artifacts for tests, with the least that they need."""

from __future__ import annotations

from pathlib import Path

from buildkit.config.model import Image
from buildkit.config.release_model import Package
from buildkit.plan.units import (
    Action,
    Artifact,
    BuildImage,
    BuildPackage,
    Compile,
    Kind,
    PushIndex,
    Step,
    Unit,
    Verdict,
)
from buildkit.platform import Platform

LINUX = Platform("linux", "amd64")


def compile_action(source: Path, output: Path, package: str = "./cmd/app") -> Compile:
    return Compile(
        group="",
        package=package,
        source=source,
        output=output,
        toolchain="1.26.8",
        tags=(),
        ldflags=("-s", "-w"),
        gcflags=(),
        cgo=False,
        env=(),
        trimpath=True,
        stamps=(),
        volatile_stamps=(),
    )


def binary(name: str, action: Action, platform: Platform = LINUX) -> Unit:
    return Unit(kind=Kind.BINARY, name=name, platform=platform, action=action)


def image(name: str, base: str, *, needs: tuple[str, ...] = (), template: Path) -> Unit:
    action = BuildImage(
        name=name,
        image=Image(base=("static",)),
        template=template,
        base=base,
        context=tuple((need.partition("/")[2].partition("@")[0], need) for need in needs),
        variables=(),
        labels=(),
        volatile_labels=(),
    )
    every = (base, *needs)
    return Unit(kind=Kind.IMAGE, name=name, platform=LINUX, action=action, needs=every)


def package(
    name: str, output: Path, contents: tuple[tuple[str, str], ...] = (), *scripts: Path
) -> Unit:
    action = BuildPackage(
        name=name,
        package=Package(description="x", maintainer="Somebody <some@example.com>"),
        version="1",
        architecture="amd64",
        contents=contents,
        scripts=tuple(("postinstall", path) for path in scripts),
        url="",
        licenses="",
        packager="nfpm",
        output=output,
    )
    return Unit(kind=Kind.DEB, name=name, platform=LINUX, action=action)


def push(name: str, images: tuple[str, ...], reference: str = "localhost:5000/x:latest") -> Unit:
    action = PushIndex(name=name, images=images, references=(reference,))
    return Unit(kind=Kind.PUSH, name=name, platform=None, action=action, needs=images)


def running(unit: Unit, reason: str = "never made here") -> Step:
    return Step(unit=unit, verdict=Verdict.RUN, reason=reason)


def artifact(unit: str, digest: str = "sha256:1", path: Path | None = None) -> Artifact:
    return Artifact(unit=unit, digest=digest, size=1, path=path)
