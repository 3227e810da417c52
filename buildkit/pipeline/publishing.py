"""`invoke publish`: a release that exists, moved as it is to the places of ``[publish]``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec

from buildkit.attest.keeping import KeptProofs
from buildkit.config.check_release import ENVIRONMENT
from buildkit.config.interpolate import interpolate
from buildkit.config.problems import near_miss
from buildkit.config.release_model import Publish
from buildkit.digest import Digest
from buildkit.errors import EnvironmentMissingError, UsageError, VerificationError
from buildkit.oci.layout import Layout, image_name
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.releasing import check_untouched, dist_folder
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.destinations import check_protected
from buildkit.plan.options import Options, split_list
from buildkit.publish.cargo import Cargo, CargoFile
from buildkit.publish.destination import Destination, Item, Published, publish
from buildkit.publish.directory import Directory
from buildkit.publish.files import FileDestination
from buildkit.publish.github import GitHubRelease
from buildkit.publish.github_api import GitHub
from buildkit.publish.http_put import HttpPut
from buildkit.publish.images import Images
from buildkit.publish.journal import Journal
from buildkit.reference import Reference, hub_reference
from buildkit.registry.originals import in_layout
from buildkit.registry.promotion import Promotion, check_promotions
from buildkit.registry.sending import Sender
from buildkit.release.dist import dist_files, read_dist
from buildkit.release.documents import (
    CHANGELOG_FILE,
    INDEXES,
    LAYOUT_FOLDER,
    RELEASE_FILE,
    ReleaseDocument,
)
from buildkit.release.sealing import seal_names
from buildkit.release.version import is_prerelease

_COLUMNS = ("to", "what", "was", "digest")


def run_publish(options: Options) -> None:
    """Move a release to its places; a run after one that broke goes on.

    Raises:
        UsageError: there is no release, it is a snapshot, or a place is not in ``[publish]``.
        VerificationError: the release was changed by hand.
        PublishError, RegistryError: a place refused or failed, or has something else.
    """
    shop = Workshop.open(options)
    names = _chosen(shop, split_list(options.to))
    cargo = read_cargo(shop)
    chosen = {name: _filled(shop, cargo, shop.project.config.publish[name]) for name in names}
    if not options.dry_run:
        hubs = filter(None, (place.hub for place in chosen.values()))
        check_protected(hubs, shop.project.config.registry.protected, shop.environ)
    makers = Makers(shop)
    places = [_destination(shop, makers, cargo, name, place) for name, place in chosen.items()]
    with closing(shop.reporter):
        for name in names:
            shop.reporter.started(f"publish/{name}")

        def told(name: str, text: str) -> None:
            shop.reporter.progress(f"publish/{name}", text)

        found = publish(places, told, dry_run=bool(options.dry_run))
        _report(shop, cargo, found)


def read_cargo(shop: Workshop) -> Cargo:
    """Read the release that is to be moved, and check that it is what it was.

    Raises:
        UsageError: there is none, or it is a snapshot, or a part.
        VerificationError: it was changed by hand.
    """
    folder = dist_folder(shop.options, shop)
    document = read_dist(folder)
    if document is None:
        raise UsageError(
            f"there is no release in {folder}", resolution="Make one with `invoke release`."
        )
    if document.snapshot:
        raise UsageError(
            f"{document.version} is a snapshot, which is not for others",
            resolution="Release a commit without --snapshot.",
        )
    if document.shard:
        raise UsageError(
            f"{folder} is part {document.shard} of {document.version}",
            resolution="Join all parts with `invoke merge`, and publish the whole.",
        )
    check_untouched(folder, document, shop.hasher)
    _check_signed(folder, document)
    return Cargo(
        version=document.version,
        tag=document.source.tag,
        revision=document.source.revision,
        notes=(folder / CHANGELOG_FILE).read_text(encoding="utf-8"),
        is_prerelease=is_prerelease(document.version),
        digest=Digest.of_file(folder / RELEASE_FILE),
        files=_files(folder, document),
        layout=folder / LAYOUT_FOLDER if document.images else None,
        folder=folder,
        epoch=document.epoch,
    )


def _check_signed(folder: Path, document: ReleaseDocument) -> None:
    wanted = seal_names(document) if document.signer else ()
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise VerificationError(
            f"{folder.name} was signed, and its signatures are not all there",
            details="\n".join(missing),
            resolution="Make the release again, with --force.",
        )


def _files(folder: Path, document: ReleaseDocument) -> tuple[CargoFile, ...]:
    names = [name for name in dist_files(folder) if not name.startswith(f"{LAYOUT_FOLDER}/")]
    known = {file.path: Digest(file.sha256) for file in document.files}
    return tuple(
        CargoFile(
            name=name,
            path=folder / name,
            digest=known.get(name) or Digest.of_file(folder / name),
            size=(folder / name).stat().st_size,
            is_index=name.startswith(INDEXES),
        )
        for name in names
    )


def _chosen(shop: Workshop, names: tuple[str, ...]) -> tuple[str, ...]:
    places = shop.project.config.publish
    if not places:
        raise UsageError(
            f"{shop.project.targets.name} names no place to publish to",
            resolution='Add one, such as [publish.hub] with kind = "registry".',
        )
    for name in names:
        if name not in places:
            raise UsageError(
                f"--to {name}: no such place in [publish]", details=near_miss(name, places)
            )
    chosen = names or tuple(name for name, place in places.items() if place.default)
    if not chosen:
        raise UsageError(
            f"{shop.project.targets.name} has no place that is published to by itself",
            details=f"default = false stands at {', '.join(places)}.",
            resolution="Name places with --to.",
        )
    if others := [name for name in places if name not in chosen and not names]:
        shop.reporter.note(f"only where --to names it: {', '.join(others)}")
    return chosen


def _destination(
    shop: Workshop, makers: Makers, cargo: Cargo, name: str, place: Publish
) -> Destination:
    match place.kind:
        case "registry":
            return _images(makers, cargo, name, place)
        case "github":
            return _github(shop, makers, cargo, name, place)
        case "directory":
            root = (shop.project.root / place.directory).resolve()
            journal = _journal(shop, cargo, name, str(root))
            return FileDestination(
                name=name, files=cargo.files, shelf=Directory(root), journal=journal
            )
        case "put":
            shelf = HttpPut(
                pool=makers.plain_pool,
                url=place.url.rstrip("/") + "/",
                headers=_headers(shop, name, place),
            )
            journal = _journal(shop, cargo, name, shelf.place(""))
            return FileDestination(name=name, files=cargo.files, shelf=shelf, journal=journal)


def _filled(shop: Workshop, cargo: Cargo, place: Publish) -> Publish:
    values = {"version": cargo.version, "project": shop.project.config.project.name}

    def fill(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(interpolate(text, values) for text in texts)

    return msgspec.structs.replace(
        place,
        hub=interpolate(place.hub, values),
        directory=interpolate(place.directory, values),
        url=interpolate(place.url, values),
        tags=fill(place.tags),
        channels=fill(place.channels),
    )


def _headers(shop: Workshop, name: str, place: Publish) -> dict[str, str]:
    wanted = {match for text in place.headers.values() for match in ENVIRONMENT.findall(text)}
    missing = sorted(wanted - {key for key, value in shop.environ.items() if value})
    if missing:
        raise _unset(name, missing)
    return {
        key: ENVIRONMENT.sub(lambda match: shop.environ[match[1]], text)
        for key, text in place.headers.items()
    }


def _github(shop: Workshop, makers: Makers, cargo: Cargo, name: str, place: Publish) -> Destination:
    token = shop.environ.get(place.token)
    if not token:
        raise _unset(name, [place.token])
    api = place.api.rstrip("/")
    return GitHubRelease(
        name=name,
        cargo=cargo,
        github=GitHub(pool=makers.plain_pool, api=api, repository=place.repository, token=token),
        journal=_journal(shop, cargo, name, f"{api}/{place.repository}"),
        keep_draft=place.draft,
    )


def _images(makers: Makers, cargo: Cargo, name: str, place: Publish) -> Destination:
    versions = tuple(_promotions(cargo, place, place.tags))
    channels = tuple(_promotions(cargo, place, place.channels))
    check_promotions((*versions, *channels), as_is=False)
    return Images(
        name=name,
        versions=versions,
        channels=channels,
        sender=Sender(registry=makers.registry),
        proofs=KeptProofs(folder=cargo.folder, epoch=cargo.epoch, client=makers.registry),
    )


def _promotions(cargo: Cargo, place: Publish, tags: tuple[str, ...]) -> list[Promotion]:
    if cargo.layout is None:
        raise UsageError(
            f"the release {cargo.version} has no images",
            resolution="Publish it to a directory or a server, or set release.images.",
        )
    layout, found = Layout.open(cargo.layout), []
    for entry in layout.entries:
        source = Reference.parse(image_name(entry))
        image = source.repository.rpartition("/")[2]
        # A variant's tag is the version and its suffix.
        suffix = (source.tag or "").removeprefix(cargo.version)
        for tag in tags:
            target = hub_reference(place.hub, image, f"{tag}{suffix}")
            original = in_layout(layout, entry, f"{image}{suffix}")
            found.append(Promotion(original=original, tag=target))
    return found


def _journal(shop: Workshop, cargo: Cargo, name: str, place: str) -> Journal:
    path = shop.state / "publish" / f"{name}.jsonl"
    return Journal(path, destination=place, release=cargo.digest)


def _unset(name: str, variables: list[str]) -> EnvironmentMissingError:
    listed = ", ".join(variables)
    return EnvironmentMissingError(
        f"publish.{name} needs {listed}, which is not in the environment",
        resolution=f"Set {listed}, in CI from its store of secrets.",
    )


def _report(shop: Workshop, cargo: Cargo, found: tuple[Published, ...]) -> None:
    if shop.options.json:
        places = [
            {
                "name": place.destination,
                "before": list(map(_item_json, place.before)),
                "after": list(map(_item_json, place.after)),
            }
            for place in found
        ]
        print_json({"version": cargo.version, "places": places})
    rows = [
        (place.destination, item.place, str(item.state), item.digest.short if item.digest else "")
        for place in found
        for item in place.before
    ]
    reporter = shop.shown if shop.options.dry_run else shop.reporter
    if not shop.options.json:
        reporter.table(_COLUMNS, rows)
    if not shop.options.dry_run:
        for place in found:
            shop.reporter.note(f"{place.destination}: {cargo.version} is published and read back")


def _item_json(item: Item) -> dict[str, object]:
    return {
        "name": item.name,
        "place": item.place,
        "state": str(item.state),
        "digest": str(item.digest) if item.digest else "",
    }
