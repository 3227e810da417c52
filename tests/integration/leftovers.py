"""Removing what tests left in a daemon that others use at the same time."""

from __future__ import annotations

import contextlib
from collections.abc import Collection

from docker import DockerClient
from docker.errors import APIError


def remove_steps(client: DockerClient, layers: Collection[str]) -> None:
    """Remove the finished steps of failed builds: images without a name that have such a layer."""
    for item in client.api.images(filters={"dangling": True}):
        with contextlib.suppress(APIError):
            image = client.images.get(item["Id"])
            if set(layers).intersection(image.attrs["RootFS"].get("Layers") or ()):
                client.images.remove(str(image.id), force=True)


def remove_named(client: DockerClient, part: str) -> None:
    """Remove every name that has a part in it."""
    for item in client.api.images():
        for tag in item.get("RepoTags") or ():
            if part in tag:
                with contextlib.suppress(APIError):
                    client.images.remove(tag, force=True)
