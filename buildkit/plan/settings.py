"""Resolve flags, environment and configuration to settings, each with its origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.config.arguments import argument_at
from buildkit.config.from_file import phrase, read_value
from buildkit.config.layers import local_path
from buildkit.config.load import Project
from buildkit.config.model import FromFile, RemoteTree
from buildkit.config.problems import near_miss
from buildkit.config.remote_tree import pinned_commit
from buildkit.errors import ConfigError, UsageError
from buildkit.plan.destinations import Destination, Value, destinations, protected_hubs, truthy
from buildkit.plan.given import given_settings
from buildkit.plan.istio import environment_images, environment_platforms, read_names
from buildkit.plan.options import Options, split_list
from buildkit.plan.units import ArchiveFormat, EngineName
from buildkit.plan.variants import choose_variants
from buildkit.platform import Platform
from buildkit.vcs import UNKNOWN, Commit


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that flags, environment and file decide together."""

    platforms: tuple[Platform, ...]
    platform_origin: str
    only: tuple[str, ...]
    only_images: tuple[str, ...]
    """The images that the environment names; empty for all, or where ``only`` decides."""
    variants: tuple[str, ...]
    """The variants of images that are made."""
    variant_origin: str
    version: Value
    destinations: tuple[Destination, ...]
    engine: EngineName
    engine_origin: str
    load: bool
    no_clobber: bool
    layout: bool
    save: tuple[ArchiveFormat, ...]
    symbols: bool
    stamp: bool
    force: bool
    offline: bool
    fail_fast: bool
    jobs: int
    out: Path
    given: tuple[tuple[str, Value], ...] = ()
    """What else was decided for this call alone, by name."""
    notes: tuple[str, ...] = ()
    """What a plan says of where values come from, beside each value's own origin."""

    @property
    def pushed(self) -> tuple[Destination, ...]:
        """The hubs that images are pushed to."""
        return tuple(item for item in self.destinations if item.push)


class Surroundings(Struct, frozen=True, kw_only=True):
    """What settings depend on beyond the files, given by the composition root."""

    environ: Mapping[str, str]
    cores: int
    host: Platform
    commit: Callable[[], Commit]
    local_hub: str = ""
    """Where our own local registry listens, if it had to leave the default port."""


def resolve(project: Project, options: Options, around: Surroundings) -> Settings:
    """Decide every setting.

    Raises:
        UsageError: a flag has a value that cannot be.
        ConfigError: a value of the environment or the file cannot be.
    """
    environ = around.environ
    version = _version(project, options, around)
    names, origin = _platform_names(project, options, around)
    variants, variant_origin = choose_variants(project, options, environ)
    places = destinations(project, options, environ, version=version, local_hub=around.local_hub)
    return Settings(
        platforms=_platforms(names, origin, project, around.host),
        platform_origin=origin,
        only=split_list(options.only),
        only_images=() if options.only is not None else environment_images(environ, project),
        variants=variants,
        variant_origin=variant_origin,
        version=version,
        destinations=places,
        engine=_engine(options.engine),
        engine_origin="default" if options.engine is None else "--engine",
        load=options.load is not False,
        no_clobber=bool(options.no_clobber),
        layout=bool(options.layout),
        save=_formats(options.save),
        symbols=_flag(options.symbols, environ.get("DEBUG")),
        stamp=_flag(options.stamp, environ.get("CI")),
        force=bool(options.force),
        offline=bool(options.offline),
        fail_fast=bool(options.fail_fast),
        jobs=_jobs(options.jobs, around.cores),
        out=out_directory(project, options),
        given=given_settings(options, environ),
        notes=(
            *_file_notes(project),
            *read_names(environ, project, options),
            *_refusals(project, places, environ),
        ),
    )


def out_directory(project: Project, options: Options) -> Path:
    """Return where outputs and records go: ``--out``, or ``out`` beside the targets file."""
    return Path(options.out).resolve() if options.out else project.root / "out"


def _file_notes(project: Project) -> tuple[str, ...]:
    notes = [f"{project.targets.name} extends {project.config.extends}"] * bool(
        project.config.extends
    )
    if project.fetched is not None:
        notes.append(_source_note(project, project.fetched))
    if project.is_local:
        local = local_path(project.targets).name
        keys = project.origins.keys_of(local)
        notes.append(f"{local} is in force" + (f": {', '.join(keys)}" if keys else ""))
    notes += [
        f"fetch.{name}.version {project.config.fetch[name].number} ({phrase})"
        for name, phrase in project.versions.items()
        if phrase
    ]
    notes += [
        f"{path} {argument_at(project.config, path)} ({phrase})"
        for path, phrase in project.arguments.items()
    ]
    return tuple(notes)


def _source_note(project: Project, tree: RemoteTree) -> str:
    if tree.url:
        return f"source {tree.url}, unpacked in {project.source}"
    pin = pinned_commit(tree, project.lock)
    return f"source {tree.git} at {pin.ref}, commit {pin.commit}, in {project.source}"


def _refusals(
    project: Project, places: tuple[Destination, ...], environ: Mapping[str, str]
) -> tuple[str, ...]:
    hubs = (place.hub.text for place in places if place.push)
    found = protected_hubs(hubs, project.config.registry.protected, environ)
    return tuple(f"{hub} is protected: pushing there is refused outside CI" for hub, _ in found)


def _flag(given: bool | None, variable: str | None) -> bool:
    return truthy(variable) if given is None else given


def _engine(given: str | None) -> EngineName:
    try:
        return EngineName(given or EngineName.AUTO)
    except ValueError as error:
        raise UsageError(
            f"there is no engine '{given}'",
            details=near_miss(given or "", list(EngineName)),
            resolution=f"Give one of {', '.join(EngineName)}.",
        ) from error


def _formats(given: str | None) -> tuple[ArchiveFormat, ...]:
    found: dict[ArchiveFormat, None] = {}
    for text in split_list(given):
        if text not in set(ArchiveFormat):
            raise UsageError(
                f"--save {text}: there is no such format",
                details=near_miss(text, list(ArchiveFormat)),
                resolution=f"Give {' or '.join(ArchiveFormat)}, or both with a comma.",
            )
        found[ArchiveFormat(text)] = None
    if given is not None and not found:
        raise UsageError("--save names no format", resolution=f"Give {' or '.join(ArchiveFormat)}.")
    return tuple(found)


def _jobs(given: int | None, cores: int) -> int:
    if given is not None and given < 1:
        raise UsageError(f"--jobs {given}: at least 1 is needed")
    return given or cores


def _version(project: Project, options: Options, around: Surroundings) -> Value:
    chosen = _version_chain(project, options, around)
    return Value(text=_version_text(chosen), origin=chosen.origin)


def _version_text(value: Value) -> str:
    text = value.text.strip()
    if not text or any(character.isspace() for character in text):
        raise ConfigError(
            f"the version '{value.text}' from {value.origin} cannot be used",
            resolution="A version has no spaces and is not empty; mend it, or give --version.",
        )
    return text


def _version_chain(project: Project, options: Options, around: Surroundings) -> Value:
    rule = project.config.version
    if options.version is not None:
        return Value(text=options.version, origin="--version")
    if around.environ.get("VERSION"):
        return Value(text=around.environ["VERSION"], origin="VERSION in the environment")
    if rule.json or rule.line:
        place = FromFile(file=rule.file, json=rule.json, line=rule.line)
        where = project.origins.page("version.file").place("version.file")
        text = read_value(project.source, place, f"{where}: version")
        return Value(text=text + rule.suffix, origin=phrase(place))
    if rule.file:
        path = project.source / rule.file
        if path.is_file():
            first = path.read_text(encoding="utf-8").strip().splitlines()
            text = first[0] + rule.suffix if first else ""
            return Value(text=text, origin=f"the file {rule.file}")
    if rule.git:
        facts = around.commit()
        if facts.revision != UNKNOWN and facts.describe:
            return Value(text=facts.describe, origin="git describe")
    return Value(text=rule.fallback, origin=project.origins.phrase("version.fallback"))


def _platform_names(
    project: Project, options: Options, around: Surroundings
) -> tuple[tuple[str, ...], str]:
    if options.platform is not None:
        return split_list(options.platform), "--platform"
    named = environment_platforms(around.environ, around.host)
    if named is not None:
        return named
    default = project.config.matrix.default
    names = (default,) if isinstance(default, str) else default
    return names, project.origins.phrase("matrix.default")


def _platforms(
    names: tuple[str, ...], origin: str, project: Project, host: Platform
) -> tuple[Platform, ...]:
    known = project.config.matrix.platforms
    words = {
        "all": known,
        "host": (str(host),),
        "native": tuple(dict.fromkeys((str(host), f"linux/{host.arch}"))),
    }
    given = "" if origin == "--platform" else f", from {origin},"
    chosen: dict[str, None] = {}
    for name in names:
        for expanded in words.get(name, (name,)):
            if expanded not in known:
                raise UsageError(
                    f"platform '{expanded}'{given} is not in the matrix",
                    details=near_miss(expanded, (*known, *words)),
                    resolution="Name one of matrix.platforms, or add it there.",
                )
            chosen[expanded] = None
    if not chosen:
        raise UsageError("--platform names none", resolution="Give linux/amd64, native or all.")
    return tuple(Platform.parse(name) for name in chosen)
