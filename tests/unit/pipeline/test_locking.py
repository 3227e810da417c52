from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.config.lock import FilePin, Lock
from buildkit.errors import UsageError
from buildkit.pipeline.locking import without_gaps, write_lock
from buildkit.plan.options import Options

TEXT = """
schema_version = 1
[project]
name = "mesh"
release_hub = "docker.io/mesh"
[matrix]
platforms = ["linux/amd64"]
[fetch.envoy]
version = "7"
source = [{ url = "https://example.com/envoy-${version}", platforms = ["linux/amd64"] }]
[bases.static]
kind = "static"
"""

PIN = FilePin(source="wheel:x", file="x.whl", sha256="1" * 64)


def test_what_has_no_pin_has_no_table() -> None:
    pins: dict[str, tuple[FilePin, ...]] = {"linux/amd64": (PIN,)}
    digests = {"linux/amd64": f"sha256:{'2' * 64}"}
    lock = Lock(fetch={"envoy": pins, "ztunnel": {}}, registry={"a": {}, "b": digests})
    assert without_gaps(lock) == Lock(fetch={"envoy": pins}, registry={"b": digests})
    assert without_gaps(Lock()) == Lock()


@pytest.mark.parametrize(
    ("only", "words"), [("envoi", "did you mean 'envoy'?"), ("static", "known: envoy, go, ")]
)
def test_a_name_that_has_nothing_to_pin_is_refused(tmp_path: Path, only: str, words: str) -> None:
    targets = tmp_path / "targets.toml"
    targets.write_text(TEXT)
    with pytest.raises(UsageError, match=f"--only {only}: nothing of this name") as caught:
        write_lock(Options(targets=str(targets), only=only))
    assert caught.value.details.startswith(words)
    assert not (tmp_path / "targets.lock").exists()
