from __future__ import annotations

from buildkit.adopt.model import Findings, Image
from buildkit.errors import ConfigError
from buildkit.pipeline.adopting import settle

IMAGES = tuple(Image(name=name, dockerfile=f"{name}/Dockerfile") for name in ("good", "bad"))
FINDINGS = Findings(name="x", module="example.com/x", go="1.26", images=IMAGES)


def verify(findings: Findings) -> tuple[str, ...]:
    names = {image.name for image in findings.images if not image.left_out}
    if "bad" in names:
        raise ConfigError("it is bad", details="line\n  two")
    return tuple(f"{name} has no pin" for name in sorted(names))


def test_an_image_that_the_check_refuses_is_left_out_with_its_reason() -> None:
    settled, unpinned = settle(FINDINGS, verify)
    good, bad = settled.images
    assert good == IMAGES[0]
    assert bad.left_out == "the check refuses it: it is bad line two"
    assert unpinned == ("good has no pin",)


def test_an_image_that_was_left_out_before_keeps_its_reason() -> None:
    out = Image(name="bad", dockerfile="x", left_out="reason")
    settled, _ = settle(Findings(name="x", module="x", go="", images=(out,)), verify)
    assert settled.images == (out,)
