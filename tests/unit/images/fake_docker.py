"""A Docker daemon in memory: just what the SDK's low-level client is asked for here."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

from docker import DockerClient
from docker.errors import APIError, ImageNotFound

from buildkit.digest import Digest
from buildkit.platform import Platform
from tests.fakes.tars import tar_files

_GRAPH_DRIVER = [["Backing Filesystem", "extfs"]]
_CONTAINERD = [["driver-type", "io.containerd.snapshotter.v1"]]

Entries = list[dict[str, Any]]


@dataclass
class Build:
    """A build request as it arrived."""

    options: dict[str, Any]
    files: dict[str, tuple[int, bytes]]

    @property
    def dockerfile(self) -> str:
        return self.files[self.options["dockerfile"]][1].decode()


@dataclass
class FakeDocker:
    """Answers from ``images`` and from scripted streams, and remembers what was asked.

    ``builds_as`` are the platforms of the next builds' results; without one the
    result has the platform that was asked for. ``streams`` replaces the stream
    of the next build, pull or push. With ``containerd`` its store is containerd's:
    it is sent oci-archives, and an image's id is its manifest's digest.
    """

    native: str = "linux/amd64"
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    builds_as: list[str] = field(default_factory=list)
    streams: list[Entries] = field(default_factory=list)
    builds: list[Build] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    sent: list[list[str]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    pull_platform: str = ""
    containerd: bool = False

    @property
    def client(self) -> DockerClient:
        images = SimpleNamespace(get=self._get)
        version = {"Os": "linux", "Arch": Platform.parse(self.native).arch, "ApiVersion": "1.41"}
        api = SimpleNamespace(
            build=self.build,
            images=lambda: list(self.images.values()),
            info=lambda: {"DriverStatus": _CONTAINERD if self.containerd else _GRAPH_DRIVER},
            load_image=self.load_image,
            pull=self.pull,
            tag=self.tag,
        )
        fake = SimpleNamespace(api=api, images=images, info=api.info, version=lambda: version)
        return cast("DockerClient", fake)

    def add(self, name: str, platform: str, layers: tuple[str, ...] = ()) -> str:
        """Put an image into the daemon."""
        parsed = Platform.parse(platform)
        identity = f"sha256:{sha256(f'{name} {platform} {len(self.images)}'.encode()).hexdigest()}"
        self.images[identity] = {
            "Id": identity,
            "Os": parsed.os,
            "Architecture": parsed.arch,
            "Size": 1000,
            "RootFS": {"Layers": list(layers)},
        }
        self.names[name] = identity
        return identity

    def build(self, *, fileobj: BinaryIO, **options: Any) -> Iterator[dict[str, Any]]:
        with tarfile.open(fileobj=fileobj) as archive:
            files = {
                item.name: (item.mode, stream.read() if stream else b"")
                for item in archive
                for stream in [archive.extractfile(item)]
            }
        self.builds.append(Build(options, files))
        if self.streams:
            return iter(self.streams.pop(0))
        platform = self.builds_as.pop(0) if self.builds_as else options["platform"]
        identity = self.add(f"built-{len(self.builds)}", platform)
        return iter([{"stream": "Step 1/1 : FROM x\n"}, {"aux": {"ID": identity}}])

    def load_image(self, stream: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            members = tar_files(archive)
        self.sent.append(sorted(members))
        read = _read_oci if self.containerd else _read_docker
        identity, config, names = read(members)
        self.images[identity] = {
            "Id": identity,
            "Os": config["os"],
            "Architecture": config["architecture"],
            "Size": 1,
            "RootFS": {"Layers": config["rootfs"]["diff_ids"]},
        }
        for name in names:
            self.names[name] = identity
            self.loads.append(name)
        return iter([{"stream": f"Loaded image: {names[0]}\n"}])

    def pull(self, repository: str, *, tag: str, platform: str, **_: Any) -> Iterator[Any]:
        self.pulls.append({"repository": repository, "tag": tag, "platform": platform})
        if self.streams:
            return iter(self.streams.pop(0))
        separator = "@" if tag.startswith("sha256:") else ":"
        self.add(f"{repository}{separator}{tag}", self.pull_platform or platform)
        return iter([{"status": "Pulled", "id": tag}])

    def tag(self, image: str, repository: str, tag: str) -> bool:
        self.names[f"{repository}:{tag}"] = self._get(image).attrs["Id"]
        return True

    def _get(self, name: str) -> SimpleNamespace:
        identity = self.names.get(name, name)
        if identity not in self.images:
            raise ImageNotFound(f"No such image: {name}")
        return SimpleNamespace(attrs=self.images[identity])


def _read_docker(members: dict[str, bytes]) -> tuple[str, Any, list[str]]:
    (entry,) = json.loads(members["manifest.json"])
    config = members[entry["Config"]]
    return str(Digest.of_bytes(config)), json.loads(config), entry["RepoTags"]


def _read_oci(members: dict[str, bytes]) -> tuple[str, Any, list[str]]:
    entries = json.loads(members["index.json"])["manifests"]
    assert len({entry["digest"] for entry in entries}) == 1
    manifest = json.loads(_blob(members, entries[0]))
    for layer in manifest["layers"]:
        _blob(members, layer)
    names = [entry["annotations"]["io.containerd.image.name"] for entry in entries]
    return entries[0]["digest"], json.loads(_blob(members, manifest["config"])), names


def _blob(members: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    data = members[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert str(Digest.of_bytes(data)) == descriptor["digest"]
    return data


def refused(words: str) -> APIError:
    """Return what the SDK raises for a request that is refused at once."""
    return APIError("500 Server Error", explanation=words)
