"""What BuildKit makes of the table: run this file to write buildkit.json anew.

    GOBIN=/somewhere go install github.com/docker/buildx/cmd/buildx@v0.12.1
    .venv/bin/python -m tests.golden.buildkit /somewhere/buildx

The plugin drives the BuildKit that is part of the daemon. A current one, which is in the
results where it differs, is asked when a builder and a registry are named as well:

    go install github.com/moby/buildkit/cmd/buildkitd@v0.18.2
    buildkitd --addr unix:///somewhere/socket &    # as root
    buildx create --name newer --driver remote unix:///somewhere/socket
    .venv/bin/python -m tests.golden.buildkit /somewhere/buildx newer localhost:5000
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from docker.errors import APIError
from msgspec import structs

from buildkit.images.daemon import connect, silent
from buildkit.images.exported import export_image
from buildkit.images.layers import Layers
from buildkit.images.loading import load_sheet
from buildkit.platform import Platform
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.golden import images
from tests.golden.table import RESULTS, Case, Observed, cases, observe, results, shorten

if TYPE_CHECKING:
    from docker import DockerClient

PINNED = "v0.12.1"
"""The buildx that wrote the results; newer ones speak to this daemon too."""

_VARYING = re.compile(r"[0-9a-f]{12,}|[a-z0-9]{25}|/\S*/(?=Dockerfile)")


def _name(hub: str, name: str, platform: Platform) -> str:
    return f"{hub or 'meshwright.local'}/golden/{name}:{platform.slug}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """BuildKit, asked through buildx.

    Attributes:
        buildx: the plugin.
        builder: "default" is the daemon's own.
        hub: a registry that holds the bases, where the builder is not the daemon's own.
        client: the daemon, which gives the images.
        layers: where their layers go.
        folder: for work in progress.
        made: names of what was put into the daemon.
    """

    buildx: Path
    builder: str
    hub: str
    client: DockerClient
    layers: Layers
    folder: Path
    made: set[str] = field(default_factory=set)

    def build(self, case: Case) -> Observed:
        """Return what BuildKit makes of a case."""
        for name in images.NAMES:
            self._provide(name, case.target)
        context = Path(tempfile.mkdtemp(dir=self.folder))
        images.context(context)
        dockerfile = self.folder / "Dockerfile"
        text = case.dockerfile(lambda name: _name(self.hub, name, case.target))
        dockerfile.write_text(text, newline="")
        done = self._run(
            *("--no-cache", "--progress", "plain", "--provenance=false"),
            *("--platform", case.platform, "--file", str(dockerfile), str(context)),
        )
        if done.returncode:
            last = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return {"error": _VARYING.sub("*", last[-1] if last else done.stderr[-200:])}
        image = self._loaded()
        self.made.add(image)
        return observe(export_image(self.client, self.layers.store, image), self.layers)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        output = ("--output", f"type=docker,dest={self.folder / 'image.tar'}") if self.hub else ()
        return subprocess.run(
            [
                *(str(self.buildx), "--builder", self.builder, "build"),
                *("--iidfile", str(self.folder / "id"), *output, *words),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    def _loaded(self) -> str:
        if not self.hub:
            return (self.folder / "id").read_text().strip()
        with (self.folder / "image.tar").open("rb") as stream:
            (image,) = self.client.images.load(stream)
        return str(image.id)

    def _provide(self, name: str, platform: Platform) -> None:
        named = _name(self.hub, name, platform)
        if named in self.made:
            return
        sheet = images.base(name, platform, self.layers)
        load_sheet(self.client, self.layers, sheet, (named,), silent)
        self.made.add(named)
        if self.hub:
            self.client.images.push(named)

    def close(self) -> None:
        """Remove what was put into the daemon."""
        for name in self.made:
            with contextlib.suppress(APIError):  # two cases may make one image
                self.client.images.remove(name, force=True)


def build_all(
    buildx: Path, folder: Path, *, builder: str = "default", hub: str = ""
) -> dict[str, Observed]:
    """Return what BuildKit makes of every case, as it is kept."""
    with closing(connect(os.environ)) as client:
        reference = Reference(
            buildx=buildx,
            builder=builder,
            hub=hub,
            client=client,
            layers=layers_of(Store.open(folder / "store")),
            folder=folder,
        )
        try:
            return {case.name: _short(reference, case) for case in cases()}
        finally:
            reference.close()


def _short(reference: Reference, case: Case) -> Observed:
    below = observe(images.base(case.base, case.target, reference.layers), reference.layers)
    return shorten(reference.build(case), below)


def differing(newer: dict[str, Observed], older: dict[str, Observed]) -> dict[str, Observed]:
    """Return the results that differ; the words of an error do not count."""
    return {
        name: found
        for name, found in newer.items()
        if found != older[name] and not ("error" in found and "error" in older[name])
    }


def main(buildx: str, *newer: str) -> None:
    """Write the results."""
    kept = results()
    with tempfile.TemporaryDirectory() as folder:
        if newer:
            builder, hub = newer
            made = build_all(Path(buildx), Path(folder), builder=builder, hub=hub)
            found = differing(made, kept.cases)
            kept = structs.replace(kept, newer=structs.replace(kept.newer, cases=found))
        else:
            made = build_all(Path(buildx), Path(folder))
            kept = structs.replace(kept, buildx=PINNED, cases=made)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
