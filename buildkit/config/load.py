"""Read ``targets.toml``: syntax, types, then what must hold between its tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import tomli

from buildkit.config.check import cross_check
from buildkit.config.decode import decode
from buildkit.config.lock import Lock, load_lock, lock_path
from buildkit.config.model import Config
from buildkit.config.problems import Problems
from buildkit.errors import ConfigError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A checked configuration and where it lies."""

    targets: Path
    config: Config
    lock: Lock
    source: Path

    @property
    def root(self) -> Path:
        """The directory of targets.toml, which its paths are relative to."""
        return self.targets.parent


def load_project(targets: Path, source: Path | None = None) -> Project:
    """Read and check a targets file and the lock beside it.

    Args:
        targets: the file.
        source: the Go tree, where it is not the one that the file names.

    Raises:
        UsageError: the file or the source does not exist.
        ConfigError: the file is wrong; the message lists every place.
    """
    targets = targets.resolve()
    try:
        text = targets.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no {targets}",
            resolution="Name the file with --targets, or start where a targets.toml lies.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{targets} cannot be read", details=str(error)) from error
    config = parse_config(text, targets.name, targets.parent)
    tree = (source or targets.parent / config.project.source).resolve()
    if not tree.is_dir():
        raise UsageError(
            f"the source tree {tree} does not exist",
            resolution="Mend project.source in targets.toml, or name it with --source.",
        )
    return Project(targets=targets, config=config, lock=load_lock(lock_path(targets)), source=tree)


def parse_config(text: str, file: str, root: Path) -> Config:
    """Decode and check the text of a targets file.

    Args:
        text: the TOML.
        file: its name in messages.
        root: the directory that its paths are relative to.

    Raises:
        ConfigError: it is wrong; the message lists every place.
    """
    problems = Problems(file, text)
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"{file}:{place.group(1)}:{place.group(2)}" if place else file
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError(
            f"{where}: TOML syntax error", details=reason, resolution="Mend that line."
        ) from error
    config = decode(data, Config, "", problems)
    problems.raise_if_any()
    cross_check(config, root, problems)
    problems.raise_if_any()
    return config  # type: ignore[no-any-return]  # decode returns what its second argument says
