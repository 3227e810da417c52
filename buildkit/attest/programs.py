"""Components of programs: compiled Go with its modules, fetched binaries, anything else."""

from __future__ import annotations

from buildkit.attest.buildinfo import BuildInfo, Module
from buildkit.attest.component import Component, Purpose
from buildkit.attest.purl import generic, golang
from buildkit.digest import Digest

DEVELOPMENT = "(devel)"
"""What Go calls the version of a main module that is built in its own tree."""


def go_program(
    info: BuildInfo,
    *,
    name: str,
    digest: Digest,
    file: str = "",
    version: str = "",
    license_expression: str = "",
) -> Component:
    """Return a compiled binary with the modules in it and Go's own library.

    Args:
        info: what the binary says of itself.
        name: what it is called.
        digest: of the file.
        file: where it lies.
        version: the release's; where it is empty, what the linker knows counts.
        license_expression: of the main module.
    """
    main = info.main or Module(path=info.path or name)
    known = "" if main.version == DEVELOPMENT else main.version
    subpath = info.path.removeprefix(main.path).strip("/")
    settings = " ".join(f"{key}={value}" for key, value in info.settings)
    return Component(
        name=name,
        purpose=Purpose.APPLICATION,
        version=version or known,
        purl=golang(main.path, version or known, subpath=subpath),
        digest=digest,
        file=file or name,
        license=license_expression,
        source=f"built with {info.go} from {info.path or main.path}",
        comment=f"Build settings: {settings}" if settings else "",
        depends=(*map(_library, info.modules), standard_library(info.go)),
    )


def standard_library(go: str) -> Component:
    """Return Go's standard library and runtime; ``go`` is ``go1.26.8``."""
    version = go.removeprefix("go").partition(" ")[0]
    return Component(
        name="stdlib",
        purpose=Purpose.LIBRARY,
        version=version,
        purl=golang("stdlib", version),
        license="BSD-3-Clause",
        source=f"the standard library of {go}",
    )


def fetched_program(
    *, name: str, version: str, digest: Digest, file: str = "", source: str = ""
) -> Component:
    """Return a binary that came from elsewhere, such as Envoy; ``source`` says from where."""
    return Component(
        name=name,
        purpose=Purpose.APPLICATION,
        version=version,
        purl=generic(name, version, digest),
        digest=digest,
        file=file or name,
        source=source,
    )


def unknown_program(*, name: str, digest: Digest, file: str) -> Component:
    """Return an executable of which nothing is known but that it is there."""
    return Component(
        name=name,
        purpose=Purpose.APPLICATION,
        digest=digest,
        file=file,
        comment="An executable without build information, which no package brought.",
    )


def _library(module: Module) -> Component:
    used = module.used
    if module.is_local:
        return Component(
            name=module.path,
            purpose=Purpose.LIBRARY,
            version=module.version,
            purl=golang(module.path, module.version),
            source=f"replaced by the directory {used.path}",
        )
    return Component(
        name=used.path,
        purpose=Purpose.LIBRARY,
        version=used.version,
        purl=golang(used.path, used.version),
        source=f"go.sum {used.sum}" if used.sum else "",
        comment=f"Replaces {module.path}." if module.replacement else "",
    )
