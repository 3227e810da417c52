"""What can be said of what a run made: its SBOMs and its provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from buildkit.attest.buildinfo import BuildInfo, read_build_info
from buildkit.attest.component import Component
from buildkit.attest.contents import (
    CONTENTS_VERSION,
    LayerContents,
    decode_contents,
    encode_contents,
    image_contents,
    layer_contents,
)
from buildkit.attest.inventory import Inventory, python_data
from buildkit.attest.materials import (
    Material,
    binary_materials,
    file_material,
    source_material,
    system_materials,
    toolchain_material,
    unit_materials,
)
from buildkit.attest.parameters import external_parameters, internal_parameters
from buildkit.attest.programs import fetched_program
from buildkit.attest.provenance import Build, ci_builder, provenance
from buildkit.attest.spdx import NAMESPACE, license_expression, spdx_document
from buildkit.attest.statement import Statement, Subject
from buildkit.config.lock import lock_path
from buildkit.digest import Digest
from buildkit.oci.model import OCI_LAYER, Descriptor, Image, Layer
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.units import (
    Artifact,
    AssembleBase,
    BuildImage,
    BuildPackage,
    Compile,
    Download,
    Unit,
)
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.store import note_use, read_sealed, write_sealed
from buildkit.vcs import UNKNOWN

_DATA = {
    "certifi": "the certificate authorities in etc/ssl/certs",
    "tzdata": "the time zones in usr/share/zoneinfo",
}
_DATA_OF_BASES = {"static": ("certifi", "tzdata"), "debian": ("certifi",)}
"""What a base gets from this Python's own packages, by its kind."""


class Products(Struct, frozen=True, kw_only=True):
    """What a run made or found made: units and artifacts by id."""

    units: Mapping[str, Unit]
    artifacts: Mapping[str, Artifact]

    def files(self) -> Iterator[tuple[Unit, Path, Digest]]:
        """Yield the binaries, compiled and fetched, in the order of their ids."""
        for identity, artifact in sorted(self.artifacts.items()):
            unit = self.units[identity]
            if isinstance(unit.action, Compile | Download) and artifact.path is not None:
                yield unit, artifact.path, Digest.parse(artifact.digest)


class Proofs:
    """Writes SBOMs and provenance of what one run made; layers are looked through once."""

    def __init__(self, shop: Workshop, made: Products) -> None:
        self._shop = shop
        self._made = made
        self._layers: dict[Digest, LayerContents] = {}

    @cached_property
    def inventory(self) -> Inventory:
        """What is known of the binaries.

        Raises:
            ConfigError: project.licenses is no SPDX expression.
        """
        project = self._shop.project.config.project
        own: dict[Digest, str] = {}
        fetched: dict[Digest, Component] = {}
        for unit, _, digest in self._made.files():
            match unit.action:
                case Download() as action:
                    fetched[digest] = _fetched(action, digest)
                case _:
                    own[digest] = unit.name
        return Inventory(
            project=project.name,
            version=self._shop.settings.version.text,
            license=license_expression(project.licenses, "project.licenses"),
            own=own,
            fetched=fetched,
        )

    def binary_sboms(self) -> Iterator[tuple[Unit, bytes]]:
        """Yield each binary with its SBOM."""
        for unit, path, digest in self._made.files():
            yield unit, self._document(self.inventory.binary(path, unit.name, digest))

    def package_sboms(self) -> Iterator[tuple[Unit, bytes]]:
        """Yield each .deb and .rpm with its SBOM."""
        for identity, artifact in sorted(self._made.artifacts.items()):
            unit = self._made.units[identity]
            if isinstance(unit.action, BuildPackage) and artifact.path is not None:
                yield unit, self._document(self._package(unit, unit.action, artifact.path))

    def _package(self, unit: Unit, action: BuildPackage, path: Path) -> Component:
        contains = []
        for place, need in action.contents:
            made = self._made.artifacts.get(need)
            if made is not None and made.path is not None:
                digest = Digest.parse(made.digest)
                contains.append(self.inventory.binary(made.path, place.lstrip("/"), digest))
        return self.inventory.package(
            path,
            contains,
            kind=unit.kind,
            name=unit.name,
            version=action.version,
            arch=action.architecture,
        )

    def image_sbom(self, unit: str, reference: Reference, image: Image) -> bytes:
        """Return the SBOM of one platform's image.

        Args:
            unit: the image's id.
            reference: what the image is called.
            image: its layers and its manifest.
        """
        platform = self._made.units[unit].platform or Platform.host()
        contents = image_contents(map(self._contents, image.layers))
        found = self.inventory.image(
            reference, image.descriptor.digest, platform, contents, self._data(unit)
        )
        return self._document(found)

    def provenance(self, subjects: Iterable[Subject]) -> Statement:
        """Return the provenance of artifacts of this run."""
        shop = self._shop
        builder, invocation = ci_builder(shop.environ)
        units = tuple(self._made.units.values())
        build = Build(
            external=external_parameters(
                units,
                version=shop.settings.version.text,
                source=shop.project.config.project.url,
                targets=shop.project.targets.name,
            ),
            internal=internal_parameters(units),
            materials=tuple(self._materials()),
            builder=builder,
            invocation=invocation,
            versions={"go": toolchain} if (toolchain := self._toolchain()) else {},
        )
        return provenance(subjects, build)

    def binary_subjects(self) -> Iterator[Subject]:
        """Yield the binaries under the names that they have below ``out/``."""
        for unit, path, digest in self._made.files():
            slug = unit.platform.slug if unit.platform else ""
            yield Subject(name=f"{slug}/{path.name}", digest=digest)

    def _materials(self) -> Iterator[Material]:
        shop, project = self._shop, self._shop.project
        git = shop.git
        # Of a tree that differs from its commit, the commit does not say what was built.
        if git.revision != UNKNOWN and not git.dirty:
            yield source_material(project.config.project.url, git.revision)
        for path in (project.targets, lock_path(project.targets)):
            if path.is_file():
                yield file_material(path.name, path.read_bytes())
        if toolchain := self._toolchain():
            version = toolchain.removeprefix("go").partition("-")[0]
            yield toolchain_material(version, str(shop.host), project.lock)
        artifacts = self._made.artifacts
        digests = {identity: item.digest for identity, item in artifacts.items()}
        yield from unit_materials(self._made.units.values(), digests)
        yield from unpinned_materials(self._made, self._contents)
        for info in self._build_infos():
            yield from binary_materials(info)

    def _toolchain(self) -> str:
        actions = (unit.action for unit in self._made.units.values())
        return next((item.toolchain for item in actions if isinstance(item, Compile)), "")

    def _build_infos(self) -> Iterator[BuildInfo]:
        for unit, path, _ in self._made.files():
            info = read_build_info(path) if isinstance(unit.action, Compile) else None
            if info is not None:
                yield info

    def _data(self, unit: str) -> Iterator[Component]:
        from importlib.metadata import version

        action = self._made.units[unit].action
        base = self._made.units.get(action.base) if isinstance(action, BuildImage) else None
        if base is not None and isinstance(base.action, AssembleBase):
            for name in _DATA_OF_BASES.get(base.action.base.kind, ()):
                yield python_data(name, version(name), _DATA[name])

    def _contents(self, layer: Layer) -> LayerContents:
        if layer.diff_id not in self._layers:
            self._layers[layer.diff_id] = self._kept(layer)
        return self._layers[layer.diff_id]

    def _kept(self, layer: Layer) -> LayerContents:
        """Return what the user's cache knows of a layer, after looking through it once."""
        name = f"{layer.diff_id.hex}-{CONTENTS_VERSION}.json"
        place = self._shop.store.root / "contents" / name
        known = decode_contents(read_sealed(place) or b"")
        if known is None:
            known = layer_contents(layer)
            write_sealed(place, encode_contents(known), sync=False)
        note_use(place)
        return known

    def _document(self, root: Component) -> bytes:
        url = self._shop.project.config.project.url
        namespace = f"{url}/spdx" if url.startswith("https://") else NAMESPACE
        return spdx_document(root, epoch=self._shop.epoch(), namespace=namespace)


def unpinned_materials(
    made: Products, look: Callable[[Layer], LayerContents]
) -> Iterator[Material]:
    """Yield what is in bases of kind bootstrap, of which the lock knows nothing.

    Args:
        made: what a run made or found made.
        look: looks through a layer.
    """
    for identity, artifact in made.artifacts.items():
        action = made.units[identity].action
        is_system = isinstance(action, AssembleBase) and action.base.kind == "bootstrap"
        if is_system and artifact.path is not None:
            packages = image_contents([look(_base_layer(artifact, artifact.path))]).packages()
            yield from system_materials(identity, artifact.digest, packages)


def _base_layer(artifact: Artifact, path: Path) -> Layer:
    digest = Digest.parse(artifact.digest)
    described = Descriptor(media_type=OCI_LAYER, digest=digest, size=artifact.size)
    return Layer(descriptor=described, diff_id=digest, open=lambda: path.open("rb"))


def _fetched(action: Download, digest: Digest) -> Component:
    sources = ", ".join(dict.fromkeys(pin.source for _, pin in action.sources))
    source = f"fetched, pinned as {sources}"
    if action.override is not None:
        source = "a local file that was given for this build"
    return fetched_program(name=action.name, version=action.version, digest=digest, source=source)
