"""The table of Dockerfiles against real builders: the classic one, and BuildKit itself."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient
from docker.errors import APIError

from buildkit.config.model import Image
from buildkit.errors import BuildkitError
from buildkit.images.daemon import connect, silent
from buildkit.images.docker import DockerEngine
from buildkit.images.exported import export_image
from buildkit.images.layers import Layers
from buildkit.images.sheet import write_sheet
from buildkit.plan.units import Artifact, BuildImage, Kind, Step, Unit, Verdict
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.golden import images
from tests.golden.buildkit import PINNED, build_all, differing
from tests.golden.table import Case, Observed, cases, expected, observe, results
from tests.integration.leftovers import remove_steps

pytestmark = pytest.mark.docker

TABLE = tuple(case for case in cases() if not case.classic.startswith("not tried"))
REFUSED = "refused"


class Classic:
    """The Docker engine, whose daemon is asked through the SDK."""

    def __init__(self, client: DockerClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        # Runs of two checkouts may share a daemon, and each removes its names.
        self.project = f"golden-{secrets.token_hex(4)}"
        self.layers: Layers = layers_of(Store.open(folder / "store"))
        images.context(folder / "context")
        self.context = tuple(
            (path.name, f"file:{path}") for path in sorted((folder / "context").iterdir())
        )
        self.made: set[str] = set()

    def base(self, case: Case) -> Artifact:
        """Return the base of a case as a build knows it."""
        sheet = images.base(case.base, case.target, self.layers)
        path = self.folder / f"{case.base}-{case.target.slug}.json"
        write_sheet(path, sheet)
        name = f"meshwright.local/{self.project}/{case.base}:{case.target.slug}"
        self.made.add(name)
        return Artifact(
            unit=f"base/{case.base}@{case.target}",
            digest=str(sheet.id),
            size=sheet.size,
            path=path,
            reference=(name,),
        )

    def build(self, case: Case) -> Observed:
        """Return what the classic builder makes of a case."""
        base = self.base(case)
        template = self.folder / "Dockerfile.j2"
        text = case.dockerfile(lambda name: "{{ base }}" if name == case.base else f"{name}:test")
        template.write_text(text, newline="")
        action = BuildImage(
            name="golden",
            image=Image(base=(case.base,)),
            template=template,
            base=base.unit,
            context=self.context,
            variables=(),
            labels=(),
            volatile_labels=(),
        )
        engine = DockerEngine(
            client=lambda: self.client, layers=self.layers, project=self.project, volatile=dict
        )
        unit = Unit(kind=Kind.IMAGE, name="golden", platform=case.target, action=action)
        step = Step(unit=unit, verdict=Verdict.RUN, reason="")
        (built,) = engine.build((step,), {base.unit: base}, silent)
        self.made.update(built.reference)
        return observe(export_image(self.client, self.layers.store, built.digest), self.layers)

    def below(self, case: Case) -> Observed:
        """Return the base of a case."""
        return observe(images.base(case.base, case.target, self.layers), self.layers)

    def close(self) -> None:
        """Remove what was made."""
        for name in self.made:
            with contextlib.suppress(APIError):
                self.client.images.remove(name, force=True)
        # A failed build leaves its finished steps; they start with a layer of ours.
        bases = [images.base(name, TABLE[0].target, self.layers) for name in images.NAMES]
        remove_steps(self.client, {layer.diff_id for base in bases for layer in base.layers})


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classic]:
    with contextlib.closing(connect(os.environ)) as client:
        made = Classic(client, tmp_path_factory.mktemp("classic"))
        yield made
        made.close()


@pytest.mark.parametrize(
    "case", [case for case in TABLE if not case.classic and not case.refused], ids=lambda c: c.name
)
def test_the_classic_builder_gives_buildkits_image(classic: Classic, case: Case) -> None:
    assert classic.build(case) == expected(case, classic.below(case))


@pytest.mark.parametrize(
    "case", [case for case in TABLE if case.classic], ids=lambda case: case.name
)
def test_the_classic_builder_differs_where_the_table_says_so(classic: Classic, case: Case) -> None:
    if case.classic.startswith(REFUSED):
        with pytest.raises(BuildkitError):
            classic.build(case)
    else:
        assert classic.build(case) != expected(case, classic.below(case))


@pytest.mark.slow
@pytest.mark.go
@pytest.mark.network
@pytest.mark.timeout(1800)
def test_buildkit_makes_what_is_kept(tmp_path: Path) -> None:
    environ = {**os.environ, "GOBIN": str(tmp_path)}
    tool = f"github.com/docker/buildx/cmd/buildx@{PINNED}"
    subprocess.run(["go", "install", tool], env=environ, check=True, capture_output=True)
    made = build_all(tmp_path / "buildx", tmp_path)
    assert differing(made, results().cases) == {}
