"""Units that put a binary into ``out/``: compiled or fetched."""

from __future__ import annotations

from pathlib import Path

import msgspec

from buildkit.config.check import binary_platforms
from buildkit.config.interpolate import names_in
from buildkit.config.lock import FilePin
from buildkit.config.model import Config, GoSettings, Source
from buildkit.plan.draft import Draft, split_stable
from buildkit.plan.units import Compile, Download, Kind, Override, Unit, unit_id
from buildkit.platform import Platform

ENVOY = "envoy"
"""The fetched binary that ``--envoy`` stands for."""


def add_binaries(draft: Draft, platform: Platform) -> None:
    """Add the units of every compiled binary that exists for a platform."""
    for name in draft.config.binaries:
        if str(platform) in binary_platforms(draft.config, name):
            draft.add(_compile(draft, name, platform))
        else:
            identity = unit_id(Kind.BINARY, name, platform)
            draft.missing[identity] = "targets.toml does not build it for this platform"


def add_fetches(draft: Draft, platform: Platform) -> None:
    """Add the units of every fetched binary that exists for a platform."""
    for name in draft.config.fetch:
        served = str(platform) in binary_platforms(draft.config, name)
        if served or _override(draft, name, platform):
            draft.add(_download(draft, name, platform))
        else:
            identity = unit_id(Kind.FETCH, name, platform)
            draft.missing[identity] = "no source in targets.toml serves this platform"


def merge_settings(shared: GoSettings, group: GoSettings) -> GoSettings:
    """Return a group's settings with what it leaves unset taken from ``[go]``; env joins."""
    given = {
        name: value
        for name in GoSettings.__struct_fields__
        if (value := getattr(group, name)) is not None
    }
    base = GoSettings(**{name: getattr(shared, name) for name in GoSettings.__struct_fields__})
    env = {**(shared.env or {}), **(group.env or {})}
    return msgspec.structs.replace(base, **{**given, "env": env})


def source_key(source: Source) -> str:
    """Return how the lock names a source: ``wheel:<project>`` or ``url:<template>``."""
    return f"wheel:{source.wheel}" if source.wheel else f"url:{source.url}"


def _compile(draft: Draft, name: str, platform: Platform) -> Unit:
    binary = draft.config.binaries[name]
    group = draft.config.go.group.get(binary.group or "", GoSettings())
    merged = merge_settings(draft.config.go, group)
    debug = draft.settings.symbols
    stamps, volatile = split_stable(draft.config.stamps, draft.values(platform))
    action = Compile(
        group=binary.group or "",
        package=binary.package,
        source=draft.project.source,
        output=draft.output(platform, name),
        toolchain=draft.facts.go_version,
        workspace=draft.facts.workspace,
        tags=merged.tags or (),
        ldflags=(merged.ldflags or ()) if debug else ("-s", "-w", *(merged.ldflags or ())),
        gcflags=("all=-N -l",) if debug else (merged.gcflags or ()),
        cgo=bool(merged.cgo),
        compilers=_compilers(draft, merged, platform) if merged.cgo else (),
        env=tuple(sorted((merged.env or {}).items())),
        trimpath=not debug,
        stamps=stamps,
        volatile_stamps=volatile,
        version_stamps=tuple(
            name
            for name, text in sorted(draft.config.stamps.items())
            if "version" in names_in(text)
        ),
    )
    needs = tuple(command_id(draft.config, need, platform) for need in binary.needs)
    return Unit(kind=Kind.BINARY, name=name, platform=platform, action=action, needs=needs)


def _compilers(draft: Draft, settings: GoSettings, platform: Platform) -> tuple[Path, ...]:
    """Return the C compilers that Go takes, by its own defaults where nothing is set (cmd/cgo)."""
    defaults = ("clang", "clang++") if platform.os == "darwin" else ("gcc", "g++")
    env = settings.env or {}
    words = (env.get(*item).split() for item in zip(("CC", "CXX"), defaults, strict=True))
    found = (draft.facts.find_program(word[0]) for word in words if word)
    return tuple(Path(path) for path in found if path)


def command_id(config: Config, name: str, platform: Platform | None) -> str:
    """Return the id of a command's unit for those of a platform."""
    is_once = config.command[name].platforms is None
    return unit_id(Kind.COMMAND, name, None if is_once else platform)


def add_tool(draft: Draft, name: str) -> str:
    """Have a binary for this machine, whatever platforms were chosen; return its unit's id."""
    kind = Kind.BINARY if name in draft.config.binaries else Kind.FETCH
    identity, host = unit_id(kind, name, draft.facts.host), draft.facts.host
    if identity not in draft.units and str(host) in binary_platforms(draft.config, name):
        draft.tools.add(identity)
        draft.add((_compile if kind is Kind.BINARY else _download)(draft, name, host))
    return identity


def _download(draft: Draft, name: str, platform: Platform) -> Unit:
    fetch = draft.config.fetch[name]
    pins = draft.project.lock.fetch.get(name, {}).get(str(platform), ())
    action = Download(
        name=name,
        version=fetch.number,
        sources=_pinned(fetch.source, pins, platform),
        override=_override(draft, name, platform),
        strip=fetch.strip,
        base_url=fetch.base_url,
        output=draft.output(platform, name),
    )
    return Unit(kind=Kind.FETCH, name=name, platform=platform, action=action)


def _override(draft: Draft, name: str, platform: Platform) -> Override | None:
    given = dict(draft.facts.overrides) if name == ENVOY else {}
    return given.get(platform)


def _pinned(
    sources: tuple[Source, ...], pins: tuple[FilePin, ...], platform: Platform
) -> tuple[tuple[Source, FilePin], ...]:
    by_source = {pin.source: pin for pin in pins}
    return tuple(
        (source, by_source[source_key(source)])
        for source in sources
        if str(platform) in source.platforms and source_key(source) in by_source
    )
