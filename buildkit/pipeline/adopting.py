"""`invoke init`: a targets.toml for a Go tree, checked before it is written."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from buildkit.adopt.findings import read_tree
from buildkit.adopt.golist import list_packages
from buildkit.adopt.model import Binary, Findings, Image
from buildkit.adopt.module import read_module
from buildkit.adopt.text import write_targets
from buildkit.build.pins import ModuleSums, any_go, bootstrap_wheel, resolve_go
from buildkit.config.lock import GoPin, Lock, lock_path, save_lock
from buildkit.errors import ConfigError, UsageError
from buildkit.log import Reporter, Silent, choose_reporter
from buildkit.pipeline.check import checked_graph, lock_problems
from buildkit.pipeline.golang import locked_go
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import TARGETS, Workshop, user_store
from buildkit.plan.options import Options
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.store import atomic_write
from buildkit.toolchain import (
    Toolchain,
    child_environment,
    choose_go,
    find_go,
    read_settings,
    read_wanted,
)
from buildkit.toolchain.provision import provision_go
from buildkit.wheels import Pip

SYSTEMS = ("linux", "darwin")
"""The operating systems whose packages are looked at."""

Verify = Callable[[Findings], tuple[str, ...]]

_RELEASE = "1.26.8"
"""What is fetched for a module that asks for nothing, where there is no Go."""


class _Go(Struct, frozen=True, kw_only=True):
    """The Go that reads the tree, and its pin where it had to be fetched."""

    toolchain: Toolchain
    pin: GoPin | None = None


class _Place(Struct, frozen=True, kw_only=True):
    """Where the tree is and where its file comes to lie."""

    tree: Path
    targets: Path

    @property
    def source(self) -> str:
        """The tree, as ``project.source`` of the file says it."""
        return Path(os.path.relpath(self.tree, self.targets.parent)).as_posix()


def adopt_project(options: Options) -> None:
    """Read the Go tree of ``--source`` and write the targets file that builds it.

    Raises:
        UsageError: there is no Go module, or the file exists and ``--force`` is not given.
        EnvironmentMissingError: there is no Go that can read the module.
        FetchError: the Go that it asks for cannot be had.
        BuildError: Go does not understand the module.
    """
    environ = dict(os.environ)
    reporter = choose_reporter(environ, quiet=bool(options.quiet or options.json))
    place = _place(options)
    go = _supply(place.tree, environ, reporter)
    findings = _read(place.tree, go.toolchain, environ, reporter)
    limit = findings.go_limit[0]
    release = "" if limit else go.toolchain.version
    verify = _verifier(place, release, go.pin)
    findings, unpinned = settle(findings, verify)
    text = write_targets(findings, source=place.source, toolchain=release)
    if not options.dry_run:
        atomic_write(place.targets, text.encode())
    elif not options.json:
        print(text, end="")  # noqa: T201 - a dry run is asked for the text itself
    _tell(findings, unpinned, place, reporter, options)


def settle(findings: Findings, verify: Verify) -> tuple[Findings, tuple[str, ...]]:
    """Leave out the images that the check refuses, each with its reason.

    Args:
        findings: what was found.
        verify: raises a ConfigError for what cannot be built, and returns what has no pin.

    Returns:
        What passes the check as a whole, and what the lock has to pin for it.
    """
    verify(replace(findings, images=()))
    images = tuple(_settled(image, findings, verify) for image in findings.images)
    settled = replace(findings, images=images)
    return settled, verify(settled)


def _settled(image: Image, findings: Findings, verify: Verify) -> Image:
    if image.left_out:
        return image
    try:
        verify(replace(findings, images=(image,)))
    except ConfigError as error:
        reason = " ".join(part for part in (error.brief, error.details) if part)
        return replace(image, left_out=f"the check refuses it: {' '.join(reason.split())}")
    return image


def _place(options: Options) -> _Place:
    tree = Path(options.source or ".").resolve()
    targets = Path(options.targets or TARGETS).resolve()
    if not tree.is_dir():
        raise UsageError(
            f"the source tree {tree} {'is no directory' if tree.exists() else 'does not exist'}",
            resolution="Mend --source.",
        )
    if not targets.parent.is_dir():
        raise UsageError(f"there is no directory {targets.parent}", resolution="Make it first.")
    if targets.exists() and not (options.force or options.dry_run):
        raise UsageError(
            f"{targets} exists",
            resolution="Name another file with --targets, or give --force to write over it.",
        )
    read_module(tree)
    return _Place(tree=tree, targets=targets)


def _supply(tree: Path, environ: Mapping[str, str], reporter: Reporter) -> _Go:
    """Find a Go that can read the module; where PATH has none, fetch the one that it asks for."""
    runner = Processes()
    found = find_go(environ, runner, tree)
    wanted = read_wanted(tree, "")
    if found is not None and not wanted.refusal(found.version):
        return _Go(toolchain=found)
    host, pip = Platform.host(), Pip(python=Path(sys.executable), runner=runner, environ=environ)
    with any_go(found, pip, host) as asking:
        sums = ModuleSums(go=asking, environ=environ, runner=runner)
        pin = resolve_go(_release(wanted.minimum), [host], sums, pip, reporter.warn)
    store = user_store(environ)
    choice = choose_go(found=found, wanted=wanted, locked=locked_go(pin, host), cache=store.root)
    store.mark()
    toolchain = provision_go(
        choice,
        cache=store.root,
        environ=environ,
        runner=runner,
        pip=pip,
        bootstrap=bootstrap_wheel(pin, host),
        say=reporter.note,
    )
    return _Go(toolchain=toolchain, pin=pin)


def _release(minimum: str) -> str:
    """Return the first release of a language version, which go.mod may name alone."""
    return f"{minimum}.0" if re.fullmatch(r"1\.\d+", minimum) else minimum or _RELEASE


def _read(
    tree: Path, toolchain: Toolchain, environ: Mapping[str, str], reporter: Reporter
) -> Findings:
    runner = Processes()
    settings = read_settings(toolchain, environ, runner)
    child = child_environment(toolchain, settings, environ, {})
    listings = {}
    for system in SYSTEMS:
        reporter.note(f"go list for {system}: {tree}")
        listings[system] = list_packages(toolchain, child, runner, tree, system)
    return read_tree(tree, listings)


def _verifier(place: _Place, release: str, pin: GoPin | None) -> Verify:
    def verify(findings: Findings) -> tuple[str, ...]:
        with tempfile.TemporaryDirectory() as name:
            targets = Path(name) / TARGETS
            # Every path of the file begins with the tree, so it may lie anywhere. A Go that its
            # modules compile with is no matter of the check, and may have to be fetched first.
            plain = replace(findings, go_limit=("", ""))
            text = write_targets(plain, source=str(place.tree), toolchain=release)
            targets.write_text(text, encoding="utf-8")
            save_lock(lock_path(targets), Lock(go=pin))
            shop = Workshop.open(Options(targets=str(targets)), Silent(io.StringIO()))
            return lock_problems(checked_graph(shop))

    return verify


def _left_out(kind: str, items: Iterable[Binary | Image]) -> Iterator[str]:
    """Yield a sentence for each reason, with all that it holds for."""
    reasons: dict[str, list[str]] = {}
    for item in items:
        if item.left_out:
            reasons.setdefault(item.left_out, []).append(item.name)
    for reason, names in reasons.items():
        yield f"{kind} {', '.join(names)} left out: {reason}"


def _tell(
    findings: Findings,
    unpinned: tuple[str, ...],
    place: _Place,
    reporter: Reporter,
    options: Options,
) -> None:
    binaries = [item for item in findings.binaries if not item.left_out]
    images = [item for item in findings.images if not item.left_out]
    undecided = (
        *_left_out("binary", findings.binaries),
        *_left_out("image", findings.images),
        *(f"{item.name}: {item.doubt}" for item in binaries if item.doubt),
        *findings.undecided,
    )
    for sentence in undecided:
        reporter.warn(sentence)
    if options.json:
        print_json(
            {
                "targets": str(place.targets),
                "written": not options.dry_run,
                "binaries": [item.name for item in binaries],
                "images": [item.name for item in images],
                "undecided": list(undecided),
                "unpinned": list(unpinned),
            }
        )
    verb = "would write" if options.dry_run else "wrote"
    reporter.note(f"{verb} {place.targets}: {len(binaries)} binaries, {len(images)} images")
    if unpinned and not options.dry_run:
        reporter.note(f"next: invoke lock --targets {place.targets}  # pins what is fetched")
