"""SBOMs of real binaries: against Go's own reader, and by the validator of the SPDX project."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildkit.attest.buildinfo import read_build_info
from buildkit.attest.contents import image_contents, layer_contents
from buildkit.attest.inventory import Inventory, python_data
from buildkit.attest.programs import fetched_program
from buildkit.attest.spdx import spdx_document
from buildkit.digest import Digest
from buildkit.oci.layer import file, layer_blocks
from buildkit.oci.model import OCI_LAYER, Descriptor, Layer
from buildkit.platform import Platform
from buildkit.reference import Reference

pytestmark = pytest.mark.go

VALIDATOR = "spdx-tools==0.8.5"
VALIDATE = """
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
for name in sys.argv[1:]:
    for message in validate_full_spdx_document(parse_file(name), "SPDX-2.3"):
        print(name, message.validation_message)
"""
CONTROL = """Package: libc6
Source: glibc
Version: 2.41-12
Architecture: amd64
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("module")
    (folder / "local").mkdir()
    (folder / "local" / "go.mod").write_text("module example.com/local\n\ngo 1.24\n")
    (folder / "local" / "local.go").write_text("package local\n\nconst Text = `x`\n")
    (folder / "go.mod").write_text(
        "module example.com/Mesh\n\ngo 1.24\n\nrequire example.com/local v0.0.0\n\n"
        "replace example.com/local => ./local\n"
    )
    (folder / "main.go").write_text(
        'package main\n\nimport "example.com/local"\n\nvar a string\n\n'
        "func main() { println(local.Text, a) }\n"
    )
    return folder


def build(module: Path, platform: str) -> Path:
    system, arch = platform.split("/")
    output = module / f"{system}_{arch}"
    env = {**os.environ, "GOOS": system, "GOARCH": arch, "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    argv = [
        "go",
        "build",
        "-trimpath",
        "-ldflags=-s -w -X 'main.a=b \"c\"'",
        "-o",
        str(output),
        ".",
    ]
    subprocess.run(argv, cwd=module, env=env, check=True)
    return output


@pytest.mark.parametrize(
    "platform", ["linux/amd64", "linux/386", "linux/s390x", "darwin/arm64", "windows/amd64"]
)
def test_build_information_is_what_go_reads(module: Path, platform: str) -> None:
    path = build(module, platform)
    done = subprocess.run(["go", "version", "-m", "-json", path], check=True, capture_output=True)
    wanted = json.loads(done.stdout)
    found = read_build_info(path)
    assert found is not None
    assert (found.go, found.path) == (wanted["GoVersion"], wanted["Path"])
    assert [(item.path, item.version, item.sum) for item in found.modules] == [
        (item["Path"], item.get("Version", ""), item.get("Sum", "")) for item in wanted["Deps"]
    ]
    assert found.modules[0].used.path == wanted["Deps"][0]["Replace"]["Path"] == "./local"
    assert dict(found.settings) == {
        item["Key"]: item.get("Value", "") for item in wanted["Settings"]
    }


@pytest.mark.network
@pytest.mark.slow
def test_the_spdx_projects_validator_finds_nothing(module: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tools), VALIDATOR]
    subprocess.run(pip, check=True, env={**os.environ, "PIP_USER": "0"})
    binary = build(module, "linux/amd64")
    envoy = Digest.of_bytes(b"\x7fELF envoy")
    inventory = Inventory(
        project="mesh",
        version="1.2.3-rc.1",
        license="Apache-2.0 OR MIT",
        own={Digest.of_file(binary): "pilot"},
        fetched={envoy: fetched_program(name="envoy", version="1.40.0", digest=envoy)},
    )
    plain = b"".join(
        map(
            bytes,
            layer_blocks(
                (
                    file("etc/os-release", b"ID=debian\nVERSION_ID=13\n"),
                    file("var/lib/dpkg/status.d/libc6", CONTROL.encode()),
                    file("usr/local/bin/envoy", b"\x7fELF envoy", 0o755),
                    file("usr/local/bin/odd", b"\x7fELF odd", 0o755),
                    file("usr/local/bin/pilot", binary, 0o755),
                )
            ),
        )
    )
    layer = Layer(
        descriptor=Descriptor.of(OCI_LAYER, plain),
        diff_id=Digest.of_bytes(plain),
        open=lambda: io.BytesIO(plain),
    )
    image = inventory.image(
        Reference.parse("localhost:5000/mesh/pilot:1.2.3-rc.1"),
        Digest.of_bytes(b"manifest"),
        Platform.parse("linux/amd64"),
        image_contents([layer_contents(layer)]),
        more=(python_data("tzdata", "2026.1", "time zones"),),
    )
    package = inventory.package(
        binary,
        [inventory.binary(binary)],
        kind="rpm",
        name="pilot",
        version="1.2.3~rc.1",
        arch="x86_64",
    )
    names = []
    for number, root in enumerate((inventory.binary(binary), image, package)):
        path = tmp_path / f"{number}.spdx.json"
        path.write_bytes(spdx_document(root, epoch=1700000000))
        names.append(str(path))
    done = subprocess.run(
        [sys.executable, "-c", VALIDATE, *names],
        env={**os.environ, "PYTHONPATH": str(tools)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
