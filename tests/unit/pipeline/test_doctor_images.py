"""Which images need a daemon, BuildKit or mmdebstrap, read from a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.images.bootstrap import MISSING
from buildkit.pipeline.doctor_images import bootstrap_facts, buildx_facts, daemon_need
from buildkit.plan.graph import Graph
from buildkit.plan.units import EngineName
from tests.unit.plan.test_app_images import graph

WITHOUT = "there is no docker command"


def planned(root: Path, text: str) -> Graph:
    folder = root / "images" / "debug"
    folder.mkdir(parents=True)
    (folder / "Dockerfile.j2").write_text(text)
    return graph(root, only="debug", platform="linux/amd64")


@pytest.mark.parametrize(
    ("lines", "engine", "needed"),
    [
        ("RUN --mount=type=cache,target=/c make", EngineName.AUTO, "RUN --mount in image/debug"),
        ("run --network=none make", EngineName.AUTO, "RUN --network in image/debug"),
        ("RUN <<EOF\nmake\nEOF", EngineName.AUTO, "RUN <<EOF in image/debug"),
        ("COPY <<'E' /x\nmake\nE", EngineName.AUTO, "COPY <<'E' in image/debug"),
        ("COPY --chmod=755 a /\nRUN make", EngineName.AUTO, "COPY --chmod in image/debug"),
        ("COPY --from=x --link a /\nRUN make", EngineName.AUTO, "COPY --link in image/debug"),
        ("COPY --chmod=755 a /", EngineName.AUTO, ""),
        ("RUN make", EngineName.AUTO, ""),
        ("RUN echo $((1<<2))", EngineName.AUTO, ""),
        ("# RUN <<EOF", EngineName.AUTO, ""),
        ("RUN make", EngineName.BUILDX, "the buildx engine"),
        ("RUN <<EOF\nmake\nEOF", EngineName.DOCKER, ""),
        ("RUN <<EOF\nmake\nEOF", EngineName.OCI, ""),
    ],
)
def test_who_needs_buildkit(tmp_path: Path, lines: str, engine: EngineName, needed: str) -> None:
    found = buildx_facts(
        planned(tmp_path, f"FROM {{{{ base }}}}\n{lines}\n"), engine, lambda: WITHOUT
    )
    assert found.needed == needed
    assert found.problem == (WITHOUT if needed else "")


@pytest.mark.parametrize(
    ("line", "engine", "needed"),
    [
        ("RUN make", EngineName.AUTO, "RUN in image/debug"),
        ("COPY a /", EngineName.AUTO, ""),
        ("RUN make", EngineName.OCI, ""),
        ("COPY a /", EngineName.DOCKER, "the docker engine"),
    ],
)
def test_who_needs_a_daemon(tmp_path: Path, line: str, engine: EngineName, needed: str) -> None:
    assert daemon_need(planned(tmp_path, f"FROM {{{{ base }}}}\n{line}\n"), engine) == needed


def test_what_is_without_a_base_for_want_of_mmdebstrap(tmp_path: Path) -> None:
    absent = graph(tmp_path, only="debug", platform="linux/amd64", no_bootstrap=MISSING)
    found = bootstrap_facts(absent, MISSING, "")
    assert (found.program, found.bases, found.evaded) == ("", (), ())
    assert f"image/debug@linux/amd64 has no base (system: {MISSING})" in found.stopped


def test_the_program_and_the_bases_that_it_installs(tmp_path: Path) -> None:
    found = bootstrap_facts(graph(tmp_path, only="debug"), MISSING, "/bin/mmdebstrap")
    assert (found.program, found.bases) == ("/bin/mmdebstrap", ("base/system",))
    assert found.stopped == found.evaded == ()


def test_a_project_without_such_a_base_has_nothing_to_tell(tmp_path: Path) -> None:
    found = bootstrap_facts(graph(tmp_path, only="proxy"), MISSING, "")
    assert (found.bases, found.stopped, found.evaded) == ((), (), ())


def test_another_base_in_its_place_is_noted() -> None:
    note = f"debug@linux/amd64 uses base remote: system: {MISSING}"
    found = bootstrap_facts(Graph(units=(), notes=("other", note)), MISSING, "")
    assert found.evaded == (note,)
