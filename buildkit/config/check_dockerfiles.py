"""What must hold for Dockerfiles that are used as they are, for their arguments and variants."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from buildkit.config.arguments import Arguments, argument_tables
from buildkit.config.from_file import rule_problem
from buildkit.config.interpolate import STABLE, has_lone_dollar, names_in
from buildkit.config.model import Config, FromFile, Image
from buildkit.config.problems import Problems, near_miss
from buildkit.errors import ConfigError
from buildkit.reference import Reference

_PLATFORM_ARGUMENT = re.compile(r"(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)")


def check_dockerfiles(config: Config, root: Path, problems: Problems) -> None:
    """Add what is wrong with Dockerfiles, what stands for their bases, and arguments."""
    for name, image in config.images.items():
        _image(name, image, root, problems)
    for path, table in argument_tables(config):
        _arguments(config, path, table, problems)
    _replaced(config, problems)


def check_variants(config: Config, problems: Problems) -> None:
    """Add what is wrong with variants and with what names them."""
    suffixes: dict[str, str] = {}
    for name, variant in config.variants.items():
        path = f"variants.{name}"
        suffix = name if variant.suffix is None else variant.suffix
        if not re.fullmatch(r"[A-Za-z0-9_.-]{0,100}", suffix):
            problems.add(f"{path}.suffix", f"'{suffix}' cannot end a tag")
        if (other := suffixes.setdefault(suffix, name)) != name:
            problems.add(path, f"'{other}' has the same tags", "give one of them another suffix")
        for old, new in variant.base.items():
            _names((old, new), config.bases, f"{path}.base", "base", problems)
    _names(config.matrix.variants, config.variants, "matrix.variants", "variant", problems)
    for name, image in config.images.items():
        for other in config.variants if image.variants else ():
            # What is made of a variant is called like that in files and in the daemon.
            if f"{name}-{other}" in config.images:
                problems.add(f"images.{name}-{other}", f"'{name}' has the variant '{other}'")
        if isinstance(image.variants, tuple):
            _names(image.variants, config.variants, f"images.{name}.variants", "variant", problems)
            if not image.variants:
                problems.add(f"images.{name}.variants", "no variant", "write false for none")


def _image(name: str, image: Image, root: Path, problems: Problems) -> None:
    path = f"images.{name}"
    if not image.dockerfile:
        if image.args:
            problems.add(f"{path}.args", "a template has no arguments", "use variables")
        if image.target:
            problems.add(f"{path}.target", "a template's image is its last stage")
        return
    if image.template:
        problems.add(path, "give either template or dockerfile")
    if image.dockerfile.endswith(".j2"):
        problems.add(f"{path}.dockerfile", "this is a template", f"write template = for {name}")
    elif not (root / image.dockerfile).is_file():
        problems.add(f"{path}.dockerfile", f"'{image.dockerfile}' does not exist")
    if image.base:
        fix = "say what stands for them with bases.NAME.replaces"
        problems.add(f"{path}.base", "a Dockerfile names its bases itself", fix)
    if image.variables:
        problems.add(f"{path}.variables", "a Dockerfile has no variables", "use args")


def _arguments(config: Config, path: str, table: Arguments, problems: Problems) -> None:
    known = STABLE | {f"fetch.{name}" for name in config.fetch}
    if path != "args":
        known |= {f"args.{name}" for name in config.args}
    for name, value in table.items():
        here = f"{path}.{name}"
        if _PLATFORM_ARGUMENT.fullmatch(name):
            problems.add(here, "the platform decides it", "use --platform, or leave it out")
        if isinstance(value, FromFile):
            if problem := rule_problem(value):
                problems.add(here, problem)
            continue
        for variable in sorted(names_in(value) - known):
            problems.add(here, f"unknown variable '${{{variable}}}'", near_miss(variable, known))
        if has_lone_dollar(value):
            problems.add(here, f"a lone '$' in '{value}'", "write ${name}, or $$ for a dollar")


def _replaced(config: Config, problems: Problems) -> None:
    taken: dict[str, str] = {}
    lists = [(f"bases.{name}", base.replaces) for name, base in config.bases.items()]
    lists += [(f"images.{name}", image.replaces) for name, image in config.images.items()]
    for owner, replaces in lists:
        path = f"{owner}.replaces"
        for text in replaces:
            try:
                reference = Reference.parse(text)
            except ConfigError as error:
                problems.add(path, error.brief, error.resolution)
                continue
            if (other := taken.setdefault(str(reference), owner)) != owner:
                problems.add(path, f"{text} is replaced by {other} too")


def _names(
    names: Iterable[str], known: Iterable[str], path: str, what: str, problems: Problems
) -> None:
    for name in names:
        if name not in set(known):
            problems.add(path, f"unknown {what} '{name}'", near_miss(name, known))
