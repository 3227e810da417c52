"""`verify` in a directory that has a download and no project."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from buildkit.attest.bundle import signature_file
from buildkit.digest import Digest
from buildkit.errors import BuildkitError, UsageError, VerificationError
from buildkit.http import HttpPool
from buildkit.oci.layout import Layout
from buildkit.pipeline.verifying import run_verify
from buildkit.plan.options import Options
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.originals import in_layout
from buildkit.registry.promotion import Promotion, promote
from buildkit.registry.sending import Sender
from tests.fakes.proxy import FakeProxy
from tests.fakes.registry import FakeRegistry, Logins
from tests.unit.attest.signing import FOREIGN, SIGNER
from tests.unit.verify.test_file import PILOT, SBOM, add_images
from tests.unit.verify.test_release import write

BROKEN = "schema_version = 1\nnonsense"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with nothing in it, which is the current one."""
    place = tmp_path / "downloads"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    write(tmp_path / "dist")
    add_images(tmp_path / "dist")
    return tmp_path / "dist"


def verify(subject: str, environ: dict[str, str] | None = None, **flags: Any) -> list[str]:
    """Return what was compared, of each thing; fails as `verify` does."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        run_verify(Options(json=True, **flags), subject, environ or {})
    document = json.loads(printed.getvalue())
    assert {check["state"] for check in document["checks"]} == {"ok"}
    return [f"{check['subject']}: {check['compared']}" for check in document["checks"]]


def write_key(place: Path, name: str, data: bytes) -> str:
    (place / name).write_bytes(data)
    return str(place / name)


def test_a_release_is_verified_where_there_is_no_project(empty: Path, dist: Path) -> None:
    shutil.copytree(dist, empty / "mesh")
    said = verify("mesh")
    assert "mesh.rpm: its architecture is x86_64" in said
    assert "oci: 1 images, every blob by its digest" in said
    (empty / "mesh" / "app.tar.gz").write_bytes(b"x")
    with pytest.raises(VerificationError, match=r"app\.tar\.gz: sha256"):
        verify("mesh")


@pytest.mark.parametrize("name", ["app.tar.gz", SBOM, "release.json", "oci/index.json"])
def test_a_file_of_a_release_needs_no_project(empty: Path, dist: Path, name: str) -> None:
    # What lies here is nobody's project, and is not read.
    (empty / "targets.toml").write_text(BROKEN)
    shutil.copytree(dist, empty / "mesh")
    assert any(line.startswith(f"{name}: ") for line in verify(f"mesh/{name}"))


def test_an_archive_its_signature_and_checksums_are_all_that_is_needed(
    empty: Path, dist: Path
) -> None:
    for name in ("app.tar.gz", "checksums.txt"):
        shutil.copyfile(dist / name, empty / name)
    signature = signature_file(SIGNER, Digest.of_file(empty / "app.tar.gz"))
    (empty / "app.tar.gz.sig").write_bytes(signature)
    own = write_key(empty, "own.pub", SIGNER.public_key.pem)
    said = verify("app.tar.gz", key=own)
    assert said[0].startswith("app.tar.gz: sha256 in checksums.txt is ")
    assert said[1] == "app.tar.gz: its signature by this key, in .sig"
    assert verify("app.tar.gz.sig", key=own) == said
    foreign = write_key(empty, "foreign.pub", FOREIGN.public_key.pem)
    with pytest.raises(VerificationError, match="or of another key"):
        verify("app.tar.gz", key=foreign)
    (empty / "checksums.txt").unlink()
    assert verify("app.tar.gz", key=own) == said[1:]
    with pytest.raises(VerificationError, match=r"nothing says what app\.tar\.gz should be"):
        verify("app.tar.gz")


@pytest.fixture
def pushed(dist: Path) -> Any:
    """A registry with the release's image, and the image's name there."""
    with FakeRegistry() as registry:
        client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
        layout = Layout.open(dist / "oci")
        (entry,) = layout.entries
        reference = Reference.parse(f"{registry.host}/team/pilot:1.0.0")
        moved = Promotion(original=in_layout(layout, entry, PILOT), tag=reference)
        promote((moved,), Sender(registry=client), lambda _: None, no_clobber=True)
        yield str(reference)


@pytest.mark.usefixtures("empty")
def test_an_image_is_verified_where_there_is_no_project(dist: Path, pushed: str) -> None:
    said = verify(pushed)
    assert f"{pushed} linux/amd64: the config's platform is linux/amd64" in said
    assert not [line for line in said if "1.0.0 linux/amd64: label" in line and PILOT in line]
    # With the release at hand it is compared with that.
    assert any(line.startswith(f"{PILOT}: digest is sha256:") for line in verify(pushed, dist=dist))


def test_a_project_counts_for_an_image_alone(empty: Path, dist: Path, pushed: str) -> None:
    (empty / "targets.toml").write_text(BROKEN)
    with pytest.raises(BuildkitError, match=r"targets\.toml"):
        verify(pushed)
    shutil.copytree(dist, empty / "dist")
    assert verify("dist")
    with pytest.raises(BuildkitError, match=r"targets\.toml"):
        verify("dist", targets="targets.toml")
    with pytest.raises(UsageError, match=r"there is no .*other\.toml"):
        verify("dist", targets="other.toml")


@pytest.mark.usefixtures("empty")
def test_a_registry_is_asked_by_plain_http_only_where_that_is_said() -> None:
    with FakeProxy({}) as proxy:
        environ = {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url}
        with pytest.raises(BuildkitError):
            verify("registry.test/pilot:1", environ, insecure="other.test,registry.test")
        assert {line.partition("/v2/")[0] for line in proxy.seen} == {"GET http://registry.test"}


def test_what_is_rebuilt_needs_the_project(empty: Path, dist: Path) -> None:
    shutil.copytree(dist, empty / "mesh")
    with pytest.raises(UsageError, match=r"there is no .*targets\.toml"):
        verify("mesh", rebuild=True)


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("rebuild", [None, True])
def test_what_is_none_of_all_is_said(*, rebuild: bool | None) -> None:
    with pytest.raises(UsageError, match="that is no release"):
        verify("nothing/here", rebuild=rebuild)
