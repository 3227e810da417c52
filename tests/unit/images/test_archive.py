from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import ConfigError, EnvironmentMissingError, FetchError
from buildkit.images.archive import DebianArchive, debian_architecture, host_archive
from buildkit.platform import Platform
from buildkit.store import Store
from tests.fakes.runner import Call, FakeRunner
from tests.unit.images.fake_archive import FakeArchive


@pytest.fixture
def fake() -> FakeArchive:
    archive = FakeArchive()
    for name in ("libc6", "netbase", "base-files"):
        archive.add(name, name.encode())
    return archive


@pytest.fixture
def suite(fake: FakeArchive, store: Store, tmp_path: Path) -> DebianArchive:
    return fake.open_suite(store, tmp_path / "keys.gpg")


def test_current_packages_come_from_the_verified_index(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    found = suite.current(("netbase", "libc6"), "amd64")
    assert sorted(found) == ["libc6", "netbase"]
    assert found["libc6"]["Filename"] == "pool/main/libc6_1_amd64.deb"
    (argv,) = fake.runs
    assert argv[0] == "gpgv"
    assert argv.count("--keyring") == 1
    assert fake.asked[0] == "dists/trixie/InRelease"
    assert "by-hash" in fake.asked[1]


def test_an_index_is_downloaded_once_but_its_release_is_asked_again(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    suite.current(("libc6",), "amd64")
    suite.current(("libc6",), "amd64")
    assert sum("by-hash" in path for path in fake.asked) == 1
    assert fake.asked.count("dists/trixie/InRelease") == 2


def test_the_highest_of_several_versions_is_current(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    fake.add("libc6", b"new", version="1.10")
    fake.add("libc6", b"old", version="1.9")
    assert suite.current(("libc6",), "amd64")["libc6"]["Version"] == "1.10"


def test_an_unknown_package_has_a_near_miss(suite: DebianArchive) -> None:
    with pytest.raises(ConfigError, match="no package 'netbse' for amd64") as caught:
        suite.current(("netbse",), "amd64")
    assert caught.value.resolution == "Did you mean netbase?"


@pytest.mark.parametrize(
    "status", [b"", b"[GNUPG:] NO_PUBKEY 1", b"[GNUPG:] GOODSIG 1\n[GNUPG:] BADSIG 2\n"]
)
def test_a_release_without_a_good_signature_is_refused(
    fake: FakeArchive, suite: DebianArchive, status: bytes
) -> None:
    fake.signature = status
    with pytest.raises(FetchError, match="signature of Debian trixie"):
        suite.current(("libc6",), "amd64")


def test_an_index_that_was_not_signed_is_refused(fake: FakeArchive, suite: DebianArchive) -> None:
    for path in fake.files:
        if "by-hash" in path:
            fake.files[path] = b"other"
    with pytest.raises(FetchError, match="not what was signed"):
        suite.current(("libc6",), "amd64")


def test_another_suite_in_its_place_is_refused(fake: FakeArchive, suite: DebianArchive) -> None:
    fake.publish(b"", codename="bookworm")
    with pytest.raises(FetchError, match="has bookworm where trixie should be"):
        suite.current(("libc6",), "amd64")


def test_an_architecture_without_index_is_named(suite: DebianArchive) -> None:
    with pytest.raises(FetchError, match="no index of trixie for arm64"):
        suite.current(("libc6",), "arm64")


def test_without_gpgv_or_keyring_it_is_said_what_to_install(
    fake: FakeArchive, suite: DebianArchive
) -> None:
    fake.gpgv_missing = True
    with pytest.raises(EnvironmentMissingError, match="there is no gpgv") as caught:
        suite.current(("libc6",), "amd64")
    assert "Install gpgv" in caught.value.resolution
    suite.keyrings[0].unlink()
    with pytest.raises(EnvironmentMissingError, match="there is no Debian keyring"):
        suite.current(("libc6",), "amd64")


def test_an_archive_that_answers_an_error_is_named(fake: FakeArchive, suite: DebianArchive) -> None:
    fake.status = 500
    with pytest.raises(FetchError, match="InRelease answers 500"):
        suite.current(("libc6",), "amd64")


def apt(output: str | None, returncode: int = 0) -> FakeRunner:
    """Return a runner that answers as apt-get does; without output it cannot be started."""

    def answer(call: Call) -> tuple[int, bytes, bytes]:
        assert call.env["PATH"] == "/custom"
        if output is None:
            raise EnvironmentMissingError("cannot start apt-get")
        return returncode, output.encode(), b""

    return FakeRunner(answer)


UPDATES = "Debian|main|bookworm-updates|http://a.example/debian/\n"
OTHER = "Ubuntu|main|noble|http://u.example/ubuntu/\nDebian|contrib|bookworm|http://c.example/\n"
LOCAL = "Debian|main|sid|file:/srv/debian/\nshort\n"
MAIN = "Debian|main|bookworm|https://m.example/debian/\n"


@pytest.mark.parametrize(
    ("apt", "url"),
    [
        (apt(UPDATES + OTHER + LOCAL + MAIN), "https://m.example/debian"),
        (apt(UPDATES + OTHER + LOCAL), None),
        (apt(MAIN, returncode=100), None),
        (apt(None), None),
    ],
)
def test_the_hosts_archive_is_the_one_of_debian_itself(apt: FakeRunner, url: str | None) -> None:
    assert host_archive(apt, {"PATH": "/custom"}, {}) == url


DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}


@pytest.mark.parametrize(
    ("os_release", "url"),
    [
        (DEBIAN, "https://m.example/debian"),
        ({**DEBIAN, "VERSION_CODENAME": "sid"}, None),
        ({"ID": "ubuntu", "VERSION_CODENAME": "bookworm"}, None),
        ({}, None),
    ],
)
def test_before_the_first_apt_update_the_installed_suite_tells_the_archive(
    os_release: dict[str, str], url: str | None
) -> None:
    listed = (
        "bookworm-updates|main|http://a.example/debian/\nbookworm|main|https://m.example/debian/"
    )
    assert host_archive(apt(listed), {"PATH": "/custom"}, os_release) == url


def test_architectures_have_debians_names() -> None:
    names = [debian_architecture(Platform.parse(f"linux/{arch}")) for arch in ("amd64", "386")]
    assert names == ["amd64", "i386"]
    with pytest.raises(ConfigError, match="no architecture for darwin/arm64"):
        debian_architecture(Platform.parse("darwin/arm64"))
