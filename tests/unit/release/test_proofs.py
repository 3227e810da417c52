from __future__ import annotations

import pytest

from buildkit.release.proofs import sbom_path


@pytest.mark.parametrize(
    ("unit", "path"),
    [
        ("binary/istioctl@linux/arm64", "sboms/linux_arm64/istioctl.spdx.json"),
        ("fetch/envoy@darwin/arm64", "sboms/darwin_arm64/envoy.spdx.json"),
        ("deb/sidecar@linux/amd64", "sboms/linux_amd64/sidecar.deb.spdx.json"),
        ("rpm/sidecar@linux/amd64", "sboms/linux_amd64/sidecar.rpm.spdx.json"),
        ("image/pilot-debug@linux/amd64", "sboms/linux_amd64/image-pilot-debug.spdx.json"),
        ("base/static@linux/amd64", ""),
        ("command/ui", ""),
        ("command/native@linux/amd64", ""),
    ],
)
def test_an_sbom_is_filed_under_what_it_is_of(unit: str, path: str) -> None:
    assert sbom_path(unit) == path
