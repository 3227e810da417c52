from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.adopt.fpm import PACKAGING, read_packages
from buildkit.adopt.model import Findings
from buildkit.adopt.text import write_targets

MAKEFILE = """\
BIN=/usr/local/bin
DEPS:=envoy agent
FILES:=
$(foreach DEP,$(DEPS),\\
        $(eval ${TARGET_OUT_LINUX}/x.deb: $(TARGET_OUT_LINUX)/$(DEP)) \\
        $(eval FILES+=$(TARGET_OUT_LINUX)/$(DEP)=$(BIN)/$(DEP)) )
PLACES:=${BIN}/start.sh /etc/side.env
$(foreach PLACE,$(PLACES),\\
        $(eval FILES+=${REPO_ROOT}/common/$(notdir $(PLACE))=$(PLACE)))
FILES+=${RELEASE_DIR}/filter.wasm=/var/filter.wasm
VERSION ?= $(shell git describe)
deb:
\tfpm -s dir -t deb -n side -p ${TARGET_OUT_LINUX}/release/side.deb --version $(VERSION) -f \\
\t\t--vendor mesh.io --maintainer all@mesh.io --description "The side" \\
\t\t--after-install common/start.sh --config-files /etc/side.env \\
\t\t--depends sudo --depends iproute2 $(COMPRESSION) $(FILES)
rpm:
\tfpm -s dir -t rpm -n side -p ${TARGET_OUT_LINUX}/release/side.rpm -f --maintainer all@mesh.io \\
\t\t--depends iproute --depends sudo --config-files /etc/side.env $(FILES)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in {PACKAGING: MAKEFILE, "common/start.sh": "", "common/side.env": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_package_is_what_its_makefile_gives_to_fpm(tree: Path) -> None:
    (found,) = read_packages(tree, ["agent", "envoy"])
    assert (found.name, found.formats) == ("side", ("deb", "rpm"))
    assert found.description == "The side"
    assert found.maintainer == "mesh.io <all@mesh.io>"
    assert found.binaries == {"envoy": "/usr/local/bin/envoy", "agent": "/usr/local/bin/agent"}
    assert found.files == {"/usr/local/bin/start.sh": "common/start.sh"}
    assert found.config == {"/etc/side.env": "common/side.env"}
    assert found.scripts == {"postinstall": "common/start.sh"}
    assert found.depends == ("sudo",)
    assert found.own_depends == {"deb": ("iproute2",), "rpm": ("iproute",)}
    assert found.missing == ("/var/filter.wasm",)
    assert found.outputs == ("side.deb", "side.rpm")
    assert found.left_out == ""


def test_a_package_of_a_program_that_is_not_made_here_is_a_comment(tree: Path) -> None:
    (found,) = read_packages(tree, ["agent"])
    assert found.left_out == "it needs envoy, which nothing here makes"
    findings = Findings(name="x", module="example.com/x", go="1.26", packages=(found,))
    text = write_targets(findings, source="../x", toolchain="")
    assert "# it needs envoy, which nothing here makes:\n# # Without /var/filter.wasm" in text
    assert '\n#\n# [packages.side.rpm]\n# depends = ["iproute"]\n' in text
    assert "\n[packages" not in text


def test_a_tree_without_such_a_makefile_has_none(tmp_path: Path) -> None:
    assert read_packages(tmp_path, ["agent"]) == ()


def test_what_is_no_call_of_fpm_is_passed_over(tree: Path) -> None:
    (tree / PACKAGING).write_text(
        'a:\n\techo fpm -t deb\n\tfpm -t zip -p x.zip\n\tfpm -t deb -p "unclosed\n\tfpm -t deb\n'
    )
    assert read_packages(tree, ()) == ()
