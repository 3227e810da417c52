"""Read ``targets.toml``: syntax, types, then what must hold between its tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from buildkit.config.arguments import files_of_values, with_arguments
from buildkit.config.check import cross_check
from buildkit.config.check_packages import check_packages
from buildkit.config.check_release import check_publish, check_release
from buildkit.config.decode import decode
from buildkit.config.environment import from_environment
from buildkit.config.from_file import phrase, read_value
from buildkit.config.layers import EXAMPLES, Layer, merge, read_layers, read_local
from buildkit.config.lock import Lock, load_lock, lock_path
from buildkit.config.model import Config, FromFile, RemoteTree
from buildkit.config.problems import Origins, Problems
from buildkit.config.remote_tree import check_tree
from buildkit.config.source_paths import with_source_paths
from buildkit.errors import UsageError

Obtain = Callable[[RemoteTree, Lock, Mapping[str, str], Collection[str]], Path]
"""Brings a tree onto this machine, given the lock, the mirrors and the names of the commands,
which may write into it; says where it lies."""


def obtain_nothing(
    tree: RemoteTree, _lock: Lock, _mirrors: Mapping[str, str], _commands: Collection[str]
) -> Path:
    """Refuse to fetch.

    Raises:
        UsageError: always.
    """
    raise UsageError(
        f"the source tree {tree.git or tree.url} is not fetched here",
        resolution="Name a tree with --source.",
    )


class Project(Struct, frozen=True, kw_only=True):
    """A checked configuration and where it lies.

    Attributes:
        targets: the file that was named.
        config: everything, laid together.
        lock: what lies beside ``targets``.
        source: the Go tree.
        origins: who wrote what.
        versions: for a fetched file whose version stands in the source tree, where.
        arguments: for an ARG whose value stands in the source tree, by TOML path, where.
        values_from: files of the source tree that values of the configuration stand in.
        files: all files that the configuration was read from, the lowest first.
        is_local: a local file is in force, so that this machine's builds are its own.
        fetched: where ``source`` was fetched from; None for a tree of the user's.
    """

    targets: Path
    config: Config
    lock: Lock
    source: Path
    origins: Origins = field(default_factory=Origins)
    versions: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    values_from: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    is_local: bool = False
    fetched: RemoteTree | None = None

    @property
    def root(self) -> Path:
        """The directory of targets.toml, which its paths are relative to."""
        return self.targets.parent


def load_project(
    targets: Path,
    source: Path | None = None,
    *,
    assignments: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    examples: Path = EXAMPLES,
    obtain: Obtain = obtain_nothing,
) -> Project:
    """Read and check a targets file, what it extends, and the lock beside it.

    Args:
        targets: the file.
        source: the Go tree, where it is not the one that the file names.
        assignments: values over all files, each as ``dotted.path=value``.
        environ: the environment, for Istio's names of values that are in the file.
        examples: where the shipped examples lie.
        obtain: fetches a source that is no path.

    Raises:
        UsageError: the file or the source does not exist, or an assignment is malformed.
        ConfigError: the file is wrong; the message lists every place.
    """
    targets = targets.resolve()
    layers = read_layers(targets, examples)
    main, local = layers[-1], read_local(targets)
    layers = (*layers, local) if local else layers
    data, origins = _laid(layers, main, assignments, environ or {})
    problems = Problems(main.page.file, main.page.text, origins=origins)
    lock = load_lock(lock_path(targets))
    remote = _remote(data, main, problems) if source is None else None
    if remote is None:
        fetched, tree = None, _existing(data, source, main, problems)
    else:
        fetched = _tree_of(remote)
        tree = obtain(fetched, lock, remote.mirrors, remote.command)
    config = _decoded(with_source_paths(data, tree, main.root), problems)
    _check(config, main.root, problems)
    values_from = files_of_values(config)
    config, versions = _with_versions(config, tree, origins)
    config, arguments = with_arguments(config, tree, origins)
    return Project(
        targets=targets,
        config=config,
        lock=lock,
        source=tree,
        origins=origins,
        versions=versions,
        arguments=arguments,
        values_from=values_from,
        files=tuple(layer.path for layer in layers if layer.path is not None),
        is_local=local is not None,
        fetched=fetched,
    )


def _remote(data: dict[str, Any], main: Layer, problems: Problems) -> Config | None:
    """Return the configuration that says where the tree is fetched from; None for a user's."""
    if not isinstance(_source_of(data), dict):
        return None
    # What is fetched must be right before it is; paths in it can be looked at only then.
    config = _decoded(with_source_paths(data, main.root, main.root), problems)
    check_tree(_tree_of(config), problems)
    problems.raise_if_any()
    return config


def _tree_of(config: Config) -> RemoteTree:
    tree = config.project.source
    if not isinstance(tree, RemoteTree):
        raise TypeError(tree)
    return tree


def _existing(data: dict[str, Any], source: Path | None, main: Layer, problems: Problems) -> Path:
    named = _source_of(data)
    tree = (source or main.root / (named if isinstance(named, str) else ".")).resolve()
    if not tree.is_dir():
        # What else is wrong comes first.
        _decoded(with_source_paths(data, tree, main.root), problems)
        raise UsageError(
            f"the source tree {tree} {'is no directory' if tree.exists() else 'does not exist'}",
            resolution="Mend project.source in targets.toml, or name it with --source.",
        )
    return tree


def _source_of(data: dict[str, Any]) -> Any:
    # What is no table or no text is left for the decoder to complain about.
    project = data.get("project")
    return project.get("source", ".") if isinstance(project, dict) else "."


def _laid(
    layers: tuple[Layer, ...], main: Layer, assignments: Sequence[str], environ: Mapping[str, str]
) -> tuple[dict[str, Any], Origins]:
    """Lay the files, then what the environment names, then assignments over each other."""
    data, origins = merge(layers, main)
    if given := from_environment(environ, data, main.root):
        layers = (*layers, *given)
        data, origins = merge(layers, main)
    if assignments:
        from buildkit.config.assign import assigned  # noqa: PLC0415 - few runs have any

        data, origins = merge((*layers, assigned(assignments, data, main.root)), main)
    return data, origins


def _decoded(data: dict[str, Any], problems: Problems) -> Config:
    config: Config = decode(data, Config, "", problems)
    problems.raise_if_any()
    return config


def _check(config: Config, root: Path, problems: Problems) -> None:
    cross_check(config, root, problems)
    check_packages(config, root, problems)
    check_release(config, root, problems)
    check_publish(config, problems)
    problems.raise_if_any()


def _with_versions(config: Config, tree: Path, origins: Origins) -> tuple[Config, dict[str, str]]:
    """Put the versions of fetched files that stand in the source tree in their places."""
    rules = {n: f.version for n, f in config.fetch.items() if isinstance(f.version, FromFile)}
    if not rules:
        return config, {}
    found = dict(config.fetch)
    for name, rule in rules.items():
        path = f"fetch.{name}.version"
        text = read_value(tree, rule, f"{origins.page(path).place(path)}: {path}")
        found[name] = msgspec.structs.replace(found[name], version=text)
    phrases = {name: phrase(rule) for name, rule in rules.items()}
    return msgspec.structs.replace(config, fetch=found), phrases
