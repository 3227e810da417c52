"""Building the registry from its module; the toolchain is simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildkit.config.lock import ToolPin
from buildkit.errors import BuildError, FetchError, VerificationError
from buildkit.platform import Platform
from buildkit.registry.provision import build_registry, kept_registry
from buildkit.store import Store
from tests.fakes.runner import Call, FakeRunner

PIN = ToolPin(
    module="github.com/distribution/distribution/v3",
    version="v3.1.2",
    sum="h1:good",
)
ARM = Platform("linux", "arm64")


class Toolchain(FakeRunner):
    """A runner that answers as `go mod download -json` and `go build` do."""

    def __init__(self) -> None:
        super().__init__(self._go)
        self.sum = "h1:good"
        self.error = ""
        self.build_status = 0
        self.builds: list[tuple[tuple[str, ...], Mapping[str, str], dict[str, str]]] = []

    def _go(self, call: Call) -> tuple[int, bytes, bytes]:
        argv = call.argv
        if argv[1] == "build":
            sources = {path.name: path.read_text() for path in call.cwd.iterdir()}
            self.builds.append((argv, call.env, sources))
            Path(argv[argv.index("-o") + 1]).write_bytes(b"\x7fELF")
            return self.build_status, b"", b"undefined: x" if self.build_status else b""
        assert argv[1:] == ("mod", "download", "-json", f"{PIN.module}@{PIN.version}")
        answer = {"Error": self.error} if self.error else {"Sum": self.sum}
        return int(bool(self.error)), json.dumps(answer).encode(), b""


@pytest.fixture
def go() -> Toolchain:
    return Toolchain()


def build(go: Toolchain, store: Store, platform: Platform = ARM) -> Path:
    env = {"GOPROXY": "https://proxy.test", "GOFLAGS": "-mod=vendor", "PATH": "/bin"}
    return build_registry(platform, pin=PIN, go=Path("/go"), env=env, runner=go, store=store)


def test_it_is_built_static_for_the_platform_and_only_once(go: Toolchain, store: Store) -> None:
    binary = build(go, store)
    assert binary.read_bytes() == b"\x7fELF"
    assert binary.stat().st_mode & 0o777 == 0o755
    ((_, env, sources),) = go.builds
    expected = {"GOOS": "linux", "GOARCH": "arm64", "CGO_ENABLED": "0", "GOFLAGS": ""}
    assert expected.items() <= env.items()
    assert env["GOPROXY"] == "https://proxy.test"
    assert f"require {PIN.module} v3.1.2" in sources["go.mod"]
    assert f'"{PIN.module}/registry"' in sources["main.go"]
    assert build(go, store) == binary
    assert len(go.builds) == 1


def test_each_platform_has_its_own(go: Toolchain, store: Store) -> None:
    assert build(go, store) != build(go, store, Platform("linux", "amd64"))


def test_a_module_that_is_not_what_the_lock_pins_is_not_compiled(
    go: Toolchain, store: Store
) -> None:
    go.sum = "h1:evil"
    with pytest.raises(VerificationError, match="not what the lock pins") as caught:
        build(go, store)
    assert "h1:good" in caught.value.details
    assert go.builds == []


def test_a_module_that_cannot_be_had_names_the_ways_out(go: Toolchain, store: Store) -> None:
    go.error = "dial tcp: no such host"
    with pytest.raises(FetchError, match="cannot download") as caught:
        build(go, store)
    assert "no such host" in caught.value.details
    assert "GOPROXY" in caught.value.resolution


def test_what_does_not_compile_leaves_nothing_behind(go: Toolchain, store: Store) -> None:
    go.build_status = 1
    with pytest.raises(BuildError, match="does not compile") as caught:
        build(go, store)
    assert "undefined: x" in caught.value.details
    go.build_status = 0
    assert build(go, store).exists()
    assert len(go.builds) == 2


@pytest.mark.parametrize("file", ["registry", "registry.sha256"])
@pytest.mark.parametrize("damage", [b"", b"\x7fELG", None])
def test_a_damaged_program_is_built_again(
    go: Toolchain, store: Store, file: str, damage: bytes | None
) -> None:
    path = build(go, store).with_name(file)
    path.unlink()
    path.mkdir() if damage is None else path.write_bytes(damage)
    assert kept_registry(ARM, PIN, store) is None
    assert build(go, store).read_bytes() == b"\x7fELF"
    assert len(go.builds) == 2
    assert kept_registry(ARM, PIN, store) == build(go, store)
    assert len(go.builds) == 2
