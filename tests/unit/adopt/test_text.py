from __future__ import annotations

import tomli
from hypothesis import example, given
from hypothesis import strategies as st

from buildkit.adopt.model import Binary, FileValue, Findings, Image, Prebuilt, Stamp, VersionRule
from buildkit.adopt.text import toml_key, toml_value, write_targets

PLACE = FileValue(file="deps.json", json="[name=X].sha")
FINDINGS = Findings(
    name="mesh",
    module="example.com/mesh",
    go="1.17",
    go_limit=(">=1.17,<1.19", "its quic-go refuses newer releases"),
    release_hub="example.com/hub",
    version=VersionRule(file="Makefile", line=r"VERSION \?= (\S+)", suffix="-dev"),
    stamps=(
        Stamp(variable="a/b.Version", text="${version}", origin="x.mk", found=True),
        Stamp(variable="a/b.Odd", text="", origin="x.mk", found=True),
    ),
    tags=("fast",),
    ldflags=("-extldflags=-static",),
    groups={"agent": ("agent",)},
    binaries=(
        Binary(
            name="agent", package="./agent", group="agent", systems=("linux",), doubt="who knows"
        ),
        Binary(name="gen", package="./gen", left_out="nobody builds it"),
    ),
    prebuilt=(
        Prebuilt(
            name="envoy", version=PLACE, sources=({"url": "u", "platforms": ["linux/amd64"]},)
        ),
    ),
    args={"BASE": PLACE, "v": "${version}"},
    variants={"default": {"D": "debug"}, "small": {"D": "small"}},
    images=(
        Image(name="agent", dockerfile="d/Dockerfile", files={"a.b": "x/a.b"}, args={"N": "1"}),
        Image(name="other", dockerfile="o/Dockerfile", variants=False, left_out="it cannot be"),
    ),
    undecided=("one thing",),
)


def write(findings: Findings = FINDINGS, toolchain: str = "") -> str:
    return write_targets(findings, source="../mesh", toolchain=toolchain)


def test_what_was_found_stands_in_the_file() -> None:
    data = tomli.loads(write())
    assert data["project"] == {
        "name": "mesh",
        "source": "../mesh",
        "release_hub": "example.com/hub",
    }
    assert data["version"] == {"file": "Makefile", "line": r"VERSION \?= (\S+)", "suffix": "-dev"}
    assert data["stamps"] == {"a/b.Version": "${version}"}
    assert data["matrix"]["default"] == "native"
    assert data["go"]["version"] == ">=1.17,<1.19"
    assert data["go"]["group"] == {"agent": {"tags": ["agent"]}}
    platforms = ["linux/amd64", "linux/arm64"]
    agent = {"package": "./agent", "group": "agent", "platforms": platforms}
    assert data["binaries"] == {"agent": agent}
    assert data["fetch"]["envoy"]["version"] == {"file": "deps.json", "json": "[name=X].sha"}
    assert data["args"]["v"] == "${version}"
    assert data["variants"] == {
        "default": {"suffix": "", "args": {"D": "debug"}},
        "small": {"args": {"D": "small"}},
    }
    assert data["images"] == {
        "agent": {
            "dockerfile": "${source}/d/Dockerfile",
            "files": {"a.b": "${source}/x/a.b"},
            "args": {"N": "1"},
        }
    }


def test_what_is_left_out_or_open_stands_in_comments_that_can_be_put_in_force() -> None:
    text = write()
    assert '# nobody builds it:\n# gen = { package = "./gen" }\n' in text
    assert "# who knows\nagent = " in text
    assert '# "a/b.Odd" = ""  # x.mk has it; what is it set to?\n' in text
    assert '# it cannot be:\n# [images.other]\n# dockerfile = "${source}/o/Dockerfile"\n' in text
    assert text.endswith("# Not decided:\n# - one thing\n")


def test_a_small_tree_has_a_small_file() -> None:
    small = Findings(name="x", module="example.com/x", go="")
    assert set(tomli.loads(write(small))) == {"schema_version", "project", "matrix", "binaries"}
    assert "git describe" in write(small)
    assert tomli.loads(write(small, "1.26.8"))["go"] == {"toolchain": "1.26.8"}


_TEXT = st.text()
_VALUES = st.recursive(
    _TEXT | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)


@given(_VALUES)
@example({"a.b": ["x'\\y", 'q"', r"\S", True], "plain": "ü"})
def test_values_come_back_as_they_were(value: object) -> None:
    assert tomli.loads(f"v = {toml_value(value)}")["v"] == value


def test_plain_keys_and_patterns_stay_readable() -> None:
    assert toml_key("a-b_1") == "a-b_1"
    assert toml_value(r"VERSION \?= (\S+)") == r"'VERSION \?= (\S+)'"
    assert toml_value({}) == "{}"
