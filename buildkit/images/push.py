"""Pushing an image's platforms through the daemon and naming them by one index.

The SDK knows no index, and a daemon pushes tags only, so each platform goes
under a temporary tag; the registry client then writes the index at the real
tags, last, and removes the temporary one. A single platform gets an index as
well, so that a tag does not change its kind with the number of platforms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from buildkit.digest import Digest
from buildkit.errors import AuthError, BuildError, RegistryError
from buildkit.images.daemon import daemon_errors, daemon_platform, follow, tag_image
from buildkit.images.load import same_platform
from buildkit.oci.model import Descriptor, Index
from buildkit.plan.units import Artifact, Progress, PushIndex, Step
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.store import Store

if TYPE_CHECKING:
    from docker import DockerClient

TEMPORARY_TAG = "platform-upload"
"""One for all platforms of a repository: what a push gave is known by its digest.

Where the registry does not remove tags (distribution 2, or deletion disabled)
it stays, and names the index too."""

_DENIED = ("unauthorized", "denied", "authentication required", "no basic auth credentials")


class IndexRegistry(Protocol):
    """What is needed of the registry client."""

    def head_manifest(self, reference: Reference) -> Descriptor | None:
        """Describe a manifest, None where there is none."""
        ...

    def put_index(self, reference: Reference, index: Index) -> Descriptor:
        """Write an index at a tag."""
        ...

    def delete_tag(self, reference: Reference) -> bool:
        """Remove a tag; False where the registry does not do so."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPusher:
    """Builder of PushIndex units.

    An artifact's digest is the pushed index's, or the id of the image that was
    tagged where nothing is pushed.
    """

    client: Callable[[], DockerClient]
    registry: IndexRegistry
    store: Store

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Push and tag each image.

        Raises:
            RegistryError: the daemon's push or the registry failed; no tag moved.
            AuthError: the registry refused the daemon's credentials.
        """
        return tuple(self._push(step, given, progress) for step in steps)

    def _push(self, step: Step, given: Mapping[str, Artifact], progress: Progress) -> Artifact:
        action = step.unit.action
        if not isinstance(action, PushIndex):
            raise BuildError(f"{step.unit.id} pushes nothing")
        images = {_platform(unit): given[unit].digest for unit in action.images}
        references = tuple(Reference.parse(text) for text in action.references)
        done = Artifact(unit=step.unit.id, digest="", size=0, reference=tuple(map(str, references)))
        if action.push:
            for target, tags in _by_repository(references).items():
                index = self._push_index(target, tags, images, progress)
                done = replace(done, digest=str(index.digest), size=index.size)
        local = self._tag_locally(references, images)
        return done if action.push else replace(done, digest=local)

    def _push_index(
        self,
        target: Reference,
        tags: tuple[Reference, ...],
        images: Mapping[Platform, str],
        progress: Progress,
    ) -> Descriptor:
        temporary = target.with_tag(TEMPORARY_TAG)
        # The temporary name is the daemon's too, so two runs take turns.
        with self.store.lock(f"push-{Digest.of_bytes(target.name.encode()).short}"):
            manifests = tuple(
                self._push_platform(temporary, platform, image, progress)
                for platform, image in images.items()
            )
        index = Index.of(manifests)
        for tag in tags:
            self.registry.put_index(tag, index)
        if not self.registry.delete_tag(temporary):
            self.registry.put_index(temporary, index)
        return index.descriptor

    def _push_platform(
        self, temporary: Reference, platform: Platform, image: str, progress: Progress
    ) -> Descriptor:
        client = self.client()
        tag_image(client, image, str(temporary))
        try:
            digest = push_image(client, temporary, lambda text: progress(f"{platform}: {text}"))
            _untag(client, str(temporary.with_digest(digest)))
        finally:
            _untag(client, str(temporary))
        descriptor = self.registry.head_manifest(temporary.with_digest(digest))
        if descriptor is None:
            raise RegistryError(
                f"{temporary.registry} does not have what was pushed to it",
                details=f"{temporary.name}@{digest} ({platform}) is missing.",
                resolution="The daemon and this program may see different registries there.",
            )
        return replace(descriptor, platform=platform)

    def _tag_locally(
        self, references: tuple[Reference, ...], images: Mapping[Platform, str]
    ) -> str:
        # The daemon's own platform; the only one where just one was built.
        client = self.client()
        native = daemon_platform(client)
        own = [image for platform, image in images.items() if same_platform(platform, native)]
        chosen = own[0] if own else next(iter(images.values()))
        if own or len(images) == 1:
            for reference in references:
                tag_image(client, chosen, str(reference))
        return chosen


def push_image(client: DockerClient, reference: Reference, progress: Progress) -> Digest:
    """Push one tag through the daemon and return the manifest's digest.

    Raises:
        RegistryError: an entry of the stream is an error, which the SDK does not raise.
        AuthError: the registry refused the daemon's credentials.
    """
    brief = f"{reference.name} cannot be pushed"
    try:
        with daemon_errors(brief, RegistryError):
            entries = client.api.push(reference.name, tag=reference.tag, stream=True, decode=True)
        found = follow(entries, progress, brief=brief, family=RegistryError)
    except RegistryError as error:
        if any(word in error.details.lower() for word in _DENIED):
            raise AuthError(
                brief,
                details=error.details,
                resolution=f"Log in with `docker login {reference.registry}`.",
            ) from error
        raise
    digests = [str(item["Digest"]) for item in found if "Digest" in item]
    if not digests:
        raise RegistryError(brief, details="The daemon reported no digest and no error.")
    return Digest.parse(digests[-1])


def _untag(client: DockerClient, name: str) -> None:
    # The image has its own name, so this removes nothing else; one too many harms nobody.
    with suppress(BuildError), daemon_errors(f"{name} cannot be untagged"):
        client.api.remove_image(name, noprune=True)


def _by_repository(
    references: tuple[Reference, ...],
) -> dict[Reference, tuple[Reference, ...]]:
    groups: dict[Reference, tuple[Reference, ...]] = {}
    for reference in references:
        target = replace(reference, tag="")
        groups[target] = (*groups.get(target, ()), reference)
    return groups


def _platform(unit: str) -> Platform:
    return Platform.parse(unit.partition("@")[2])
