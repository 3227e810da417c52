"""`invoke release`: what build, package and docker make, as one directory that can be proven."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec.structs import replace

from buildkit.config.layers import local_path
from buildkit.digest import Digest
from buildkit.errors import UsageError, VerificationError
from buildkit.images.layers import PackedLayer
from buildkit.pipeline.holder import only_run
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.release_documents import fill, outline
from buildkit.pipeline.release_outputs import (
    Released,
    published_before,
    read_previous,
    write_ci_outputs,
)
from buildkit.pipeline.release_pieces import Made, used_files
from buildkit.pipeline.release_programs import make_programs
from buildkit.pipeline.report import RESULT_COLUMNS, human_size, print_json, result_rows
from buildkit.pipeline.run import carry_out, judge, prepare, show_plan, tidy_cache
from buildkit.pipeline.signing import read_signing
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.graph import build_graph
from buildkit.plan.hashing import Hasher
from buildkit.plan.options import Goal, Options
from buildkit.plan.unlocked import open_bases
from buildkit.platform import Platform
from buildkit.release.dist import SIGNATURE, check_replaceable, differences, new_dist, read_dist
from buildkit.release.documents import RELEASE_FILE, ReleaseDocument
from buildkit.release.licenses import own_license
from buildkit.release.refusals import Terms, check_bases, check_terms, check_used
from buildkit.release.sealing import seal_differences
from buildkit.release.shards import shard_of
from buildkit.release.version import release_version
from buildkit.vcs import History, changed_files, read_history, tagged_commit, untracked_files

_COLUMNS = ("file", "type", "platform", "size", "digest")


def run_release(
    options: Options,
    environ: Mapping[str, str] | None = None,
    packed: Mapping[Digest, PackedLayer] | None = None,
) -> None:
    """Make everything that a release has, and write it into one directory.

    Args:
        options: the flags.
        environ: the environment, instead of this process's own.
        packed: compressed layers that are taken as they are, by DiffID.

    Raises:
        UsageError: it cannot be a release; nothing was made.
        VerificationError: the directory was changed by hand, or something is too large.
        BuildkitError: something failed; the directory is as it was.
    """
    terms, history = read_terms(Workshop.open(options, environ=environ))
    chosen = release_options(options, terms, release_platforms(options, environ))
    shop = Workshop.open(chosen, environ=environ)
    shop.packed = packed or {}
    goals = release_goals(shop)
    _refuse_open_bases(shop, goals, terms)
    # Before anything is made: an hour of work should not end with a wrong password.
    signing = read_signing(shop.project, options, shop.environ)
    if signing is not None and options.shard:
        raise UsageError(
            "--sign of a part: the whole is signed", resolution="Give the key to `invoke merge`."
        )
    previous = read_previous(options.previous)
    if options.dry_run:
        show_plan(goals, chosen)
        return
    make_programs(chosen, environ)
    with closing(shop.reporter):
        with only_run(shop.state, sys.argv, shop.reporter.note), shop.store.in_use():
            planned = prepare(shop, Makers(shop), goals)
            check_dist(shop, signs=signing is not None)
            outcomes = carry_out(planned)
            judge(shop, planned.graph, outcomes)
            released = write_release(Made.of(planned, outcomes, terms, history, signing))
        tidy_cache(shop, outcomes)
        rows = tuple(result_rows(outcomes, planned.graph))
        shop.reporter.table(RESULT_COLUMNS, rows)
        previous = previous or published_before(shop.project, released.document)
        report_release(shop, replace(released, rows=rows, previous=previous))


def dist_folder(options: Options, shop: Workshop) -> Path:
    """Return where a release is: ``--dist``, or ``dist`` beside targets.toml."""
    return Path(options.dist).resolve() if options.dist else shop.project.root / "dist"


def release_platforms(
    options: Options, environ: Mapping[str, str] | None = None
) -> tuple[Platform, ...]:
    """Return what a release is for: all platforms, or those of one shard.

    Raises:
        UsageError: ``--shard`` is no such number, or has no platform.
    """
    every = replace(options, platform=options.platform or "all")
    return shard_of(Workshop.open(every, environ=environ).settings.platforms, options.shard)


def release_goals(shop: Workshop) -> frozenset[Goal]:
    """Return what a release needs made."""
    config = shop.project.config
    found = {Goal.BUILD}
    if config.packages:
        found.add(Goal.PACKAGE)
    if config.images and config.release.images:
        found.add(Goal.DOCKER)
    return frozenset(found)


def read_terms(shop: Workshop) -> tuple[Terms, History]:
    """Find out what the release is of, and refuse what cannot be one.

    Raises:
        UsageError: see :func:`buildkit.release.refusals.check_terms`.
    """
    options = shop.options
    value, source = shop.settings.version, shop.project.source
    version = release_version(value.text, value.origin)
    found = (tagged_commit(source, name) for name in (f"v{version}", version))
    tagged = next(filter(None, found), "")
    history = read_history(source, f"v{version}")
    targets = shop.project.targets
    terms = Terms(
        version=version,
        origin=value.origin,
        is_named=options.version is not None or bool(shop.environ.get("VERSION")),
        snapshot=bool(options.snapshot),
        revision=shop.git.revision,
        dirty=shop.git.dirty,
        tags=history.tags,
        tagged=tagged,
        commit_time=shop.git.commit_time,
        epoch=shop.epoch(),
        now=time.time(),
        local_file=local_path(targets).name if shop.project.is_local else "",
        unlocked=tuple(f"--envoy {words}" for words in options.envoy or ()),
        assigned=options.set or (),
        untracked=untracked_files(source, (shop.settings.out, dist_folder(options, shop))),
        changed_files=_changed_configuration(shop),
        license=_license(shop),
    )
    check_terms(terms)
    return terms, history


def release_options(options: Options, terms: Terms, platforms: Iterable[Platform]) -> Options:
    """Return the flags that make what a release has, and push it nowhere.

    Args:
        options: those of the call.
        terms: what it is of.
        platforms: what it is for.

    Raises:
        UsageError: a flag leaves something out or names where it goes.
    """
    refused = {
        "--only": options.only,
        "--tag": options.tag,
        "--push": options.push,
        "--symbols": options.symbols,
    }
    for flag, value in refused.items():
        if value:
            raise UsageError(
                f"{flag} and a release contradict each other",
                details="A release is the whole project under its version; publish moves it.",
            )
    return replace(
        options,
        version=terms.version,
        tag=terms.version,
        platform=",".join(map(str, platforms)),
        stamp=True,
        push=False,
        load=False,
        layout=True,
    )


def write_release(made: Made) -> Released:
    """Write the release, or leave it where it is the same already.

    Raises:
        VerificationError: the directory was changed by hand, or something is too large.
        UsageError: something else than a release lies there.
    """
    _refuse_problems(made)
    _refuse_untracked(made)
    folder = dist_folder(made.shop.options, made.shop)
    before = check_dist(made.shop, signs=made.signing is not None)
    outlined = outline(made)
    if before is not None and before.inputs == outlined.inputs:
        _check_seals(folder, before, made)
        return Released(folder=folder, document=before, is_new=False)
    with new_dist(folder) as fresh:
        document = fill(fresh, made, outlined)
    return Released(folder=folder, document=document, is_new=True)


def _check_seals(folder: Path, document: ReleaseDocument, made: Made) -> None:
    """Refuse a release whose signatures somebody changed; no document names those."""
    if made.signing is not None:
        _refuse(folder, seal_differences(folder, document, made.signing.signer))


def _refuse_open_bases(shop: Workshop, goals: frozenset[Goal], terms: Terms) -> None:
    """Refuse what stands on a base that nothing pins, before an hour is spent on the rest."""
    config = shop.project.config
    if any(base.kind == "bootstrap" for base in config.bases.values()):
        graph = build_graph(shop.project, shop.settings, Makers(shop).facts(goals), goals)
        check_bases(terms, open_bases(graph.units))


def _refuse_untracked(made: Made) -> None:
    if made.terms.untracked:
        source = made.shop.project.source
        files, trees = used_files(made)
        check_used(
            made.terms,
            lambda name: (
                name in files
                or any((source / name).is_relative_to(source / tree) for tree in trees)
            ),
        )


def _refuse_problems(made: Made) -> None:
    problems = [
        f"{name} {artifact.problem}"
        for name, (_, artifact) in made.units.items()
        if artifact.problem
    ]
    if problems:
        raise VerificationError(
            "what was built is not what a release may be",
            details="\n".join(problems),
            resolution="Mend [stamps] in targets.toml, or the binaries of the image.",
        )


def check_dist(shop: Workshop, *, signs: bool) -> ReleaseDocument | None:
    """Return the release that is there as it was made; None for none, or with ``--force``.

    Args:
        shop: says where.
        signs: whether the release that is to be there will be signed.

    Raises:
        VerificationError: it was changed by hand.
        UsageError: something else than a release lies there, or one whose signatures would go.
    """
    folder = dist_folder(shop.options, shop)
    check_replaceable(folder)
    if shop.settings.force:
        return None
    before = read_dist(folder)
    if before is not None:
        check_untouched(folder, before, shop.hasher)
        if not signs and (folder / f"{RELEASE_FILE}{SIGNATURE}").exists():
            raise UsageError(
                f"{folder.name} is signed, and this one would not be",
                resolution="Give --sign or --key; --force makes it without.",
            )
    return before


def _license(shop: Workshop) -> str | None:
    """Return the project's license file; empty for none, None where there need not be one."""
    project, named = shop.project, shop.project.config.release.license
    if named is False:
        return None
    places = (project.source, project.root)
    path = project.root / named if isinstance(named, str) else own_license(places)
    if path is None:
        return ""
    place = Path(os.path.relpath(path, project.source))
    return place.as_posix() if ".." not in place.parts else path.name


def _changed_configuration(shop: Workshop) -> tuple[str, ...]:
    """Return what differs from its commit beside targets.toml, in a tree that is not the source's.

    Where the source holds both, its own check names it.
    """
    root, source = shop.project.root, shop.project.source
    if source == root or source in root.parents:
        return ()
    return changed_files(root)


def check_untouched(folder: Path, document: ReleaseDocument, hasher: Hasher) -> None:
    """Refuse a release that somebody changed.

    Raises:
        VerificationError: it is not what its document says; all is named.
    """
    _refuse(folder, differences(folder, document, lambda path: hasher.digest(path) or ""))


def _refuse(folder: Path, found: tuple[str, ...]) -> None:
    if found:
        raise VerificationError(
            f"{folder.name} was changed by hand",
            details="\n".join(found),
            resolution="Move it away, or make it again: invoke release --force.",
        )


def report_release(shop: Workshop, released: Released) -> None:
    """Show the files and images of a release, and tell the CI system of them."""
    if shop.options.json:
        print_json(
            {"dist": str(released.folder), "written": released.is_new}
            | msgspec.to_builtins(released.document)
        )
    files = [
        (file.path, file.type, file.platform, human_size(file.size), file.sha256[:12])
        for file in released.document.files
    ]
    images = [
        (image.reference, "Docker Manifest", ", ".join(image.platforms), "", image.digest[7:19])
        for image in released.document.images
    ]
    shop.reporter.table(_COLUMNS, [*files, *images])
    done = "written" if released.is_new else "up to date"
    shop.reporter.note(f"{released.folder} is {done}: {released.document.version}")
    write_ci_outputs(shop.environ, released)
