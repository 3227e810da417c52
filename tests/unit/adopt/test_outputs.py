from __future__ import annotations

from buildkit.adopt.model import Binary
from buildkit.adopt.outputs import named_packages, with_own_names

MAKE = """\
Build = GOOS=$(1) $(GO) build -v -o $$@/$$(notdir $$@)
define BUILD_TARGET
.PHONY: build/artifacts-$(1)-$(2)/install-cni
build/artifacts-$(1)-$(2)/install-cni:
\t$(Build) -ldflags="-s" ./app/cni/cmd/install

generate: tools
\tgo run ./tools/gen \\
\t  --out x
endef
"""
SCRIPT = 'go build -o "$out/test-server" -tags x ./test/server/\ngo build -o $bin ./cmd/ctl\n'


def binaries(*packages: str) -> tuple[Binary, ...]:
    return tuple(Binary(name=path.rpartition("/")[2], package=path) for path in packages)


def test_a_rule_s_target_and_an_output_name_a_package() -> None:
    assert list(named_packages(MAKE)) == [
        ("./app/cni/cmd/install", "install-cni"),
        ("./tools/gen", "generate"),
    ]
    assert list(named_packages(SCRIPT)) == [("./test/server", "test-server")]


def test_only_what_a_dockerfile_copies_by_another_name_gets_it() -> None:
    found = binaries("./app/cni/cmd/install", "./test/server", "./tools/gen")
    scripts = {"build.mk": MAKE, "test.sh": SCRIPT}
    named = with_own_names(found, scripts, ["install-cni", "passwd"])
    assert [item.name for item in named] == ["install-cni", "server", "gen"]
    assert [item.package for item in named] == [item.package for item in found]
    assert with_own_names(found, scripts, []) == found


def test_a_name_that_is_taken_or_one_of_several_is_not_given() -> None:
    scripts = {"a.sh": "go build -o b ./a\n", "c.sh": "go build -o x ./c\ngo build -o y ./c\n"}
    found = binaries("./a", "./b", "./c")
    assert with_own_names(found, scripts, ["b", "x", "y"]) == found


def test_two_packages_do_not_get_one_name() -> None:
    scripts = {"a.sh": "go build -o x ./a\ngo build -o x ./b\n"}
    named = with_own_names(binaries("./a", "./b"), scripts, ["x"])
    assert [item.name for item in named] == ["x", "b"]
