from __future__ import annotations

from buildkit.config.lock import FilePin, Lock
from buildkit.pipeline.locking import without_gaps

PIN = FilePin(source="wheel:x", file="x.whl", sha256="1" * 64)


def test_what_has_no_pin_has_no_table() -> None:
    pins: dict[str, tuple[FilePin, ...]] = {"linux/amd64": (PIN,)}
    digests = {"linux/amd64": f"sha256:{'2' * 64}"}
    lock = Lock(fetch={"envoy": pins, "ztunnel": {}}, registry={"a": {}, "b": digests})
    assert without_gaps(lock) == Lock(fetch={"envoy": pins}, registry={"b": digests})
    assert without_gaps(Lock()) == Lock()
