"""Building the registry from its module; the toolchain is simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from buildkit.config.lock import ToolPin
from buildkit.errors import BuildError, FetchError, VerificationError
from buildkit.platform import Platform
from buildkit.proc import Completed
from buildkit.registry.provision import build_registry, kept_registry
from buildkit.store import Store

PIN = ToolPin(
    module="github.com/distribution/distribution/v3",
    version="v3.1.2",
    sum="h1:good",
)
ARM = Platform("linux", "arm64")


class Toolchain:
    """A runner that answers as `go mod download -json` and `go build` do."""

    def __init__(self) -> None:
        self.sum = "h1:good"
        self.error = ""
        self.build_status = 0
        self.builds: list[tuple[tuple[str, ...], dict[str, str], dict[str, str]]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: bytes = b"",
        log: Path | None = None,
    ) -> Completed:
        del stdin, log
        status, answer = 0, {"Sum": self.sum}
        if argv[1] == "build":
            status = self.build_status
            sources = {path.name: path.read_text() for path in cwd.iterdir()}
            self.builds.append((tuple(argv), dict(env), sources))
            Path(argv[argv.index("-o") + 1]).write_bytes(b"\x7fELF")
        else:
            assert argv[1:] == ("mod", "download", "-json", f"{PIN.module}@{PIN.version}")
            if self.error:
                status, answer = 1, {"Error": self.error}
        return Completed(
            argv=tuple(argv),
            returncode=status,
            stdout=json.dumps(answer).encode(),
            stderr=b"undefined: x" if status and argv[1] == "build" else b"",
            seconds=0.0,
        )


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
