from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.adopt.module import Module, inner_modules, parse_module, read_module
from buildkit.errors import UsageError

TLS = "\tgithub.com/marten-seemann/qtls-go1-{} v0.1.1 // indirect\n"


def test_the_module_and_its_go_are_read() -> None:
    text = 'module "example.com/mesh/v2"\n\ngo 1.26.0\ntoolchain go1.26.8\n'
    assert parse_module(text) == Module(path="example.com/mesh/v2", go="1.26.0")
    assert parse_module("module x\n") == Module(path="x", go="")


def test_an_old_quic_limits_the_go_that_compiles_it() -> None:
    needs = "".join(TLS.format(minor) for minor in (16, 17, 18))
    found = parse_module(f"module x\ngo 1.17\nrequire (\n{needs})\n")
    assert found.limit == ">=1.17,<1.19"
    assert "quic-go" in found.limit_reason
    assert parse_module(f"module x\ngo 1.21\nrequire (\n{TLS.format(20)})\n").limit == ""


def test_without_a_module_at_the_root_those_below_are_named(tmp_path: Path) -> None:
    for name in ("b", "a/deep", "vendor/x", "a/testdata/y"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "go.mod").write_text("module x\n")
    with pytest.raises(UsageError, match=r"no go\.mod") as caught:
        read_module(tmp_path)
    assert caught.value.details == "Modules below it: a/deep, b"
    (tmp_path / "go.mod").write_text("module example.com/root\n\ngo 1.20\n")
    assert read_module(tmp_path).path == "example.com/root"
    assert len(list(inner_modules(tmp_path))) == 2
