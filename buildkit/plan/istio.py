"""Istio's names in the environment: those that count here, and what to use for the others."""

from __future__ import annotations

from collections.abc import Mapping

from buildkit.config.environment import ARGUMENTS, ENVOY_BASE_URL, ENVOY_KEYS
from buildkit.config.interpolate import escape, names_in
from buildkit.config.load import Project
from buildkit.config.problems import near_miss
from buildkit.errors import UsageError
from buildkit.plan.options import Options
from buildkit.plan.variants import VARIANTS, WITH_PLAIN
from buildkit.platform import Platform

INSTEAD = {
    "AGENTGATEWAY_IMAGE": "args.AGENTGATEWAY_IMAGE",
    "AUTH_HEADER": "headers in fetch.envoy.source, with ${env.NAME}",
    "BUILDINFO": "the table [stamps], and --version",
    "BUILD_ALL": "--only",
    "BUILD_WITH_CONTAINER": "nothing: builds run on this machine",
    "BUILD_ZTUNNEL": "[command.ztunnel] with cargo",
    "BUILD_ZTUNNEL_PROFILE": "[command.ztunnel] with cargo",
    "BUILD_ZTUNNEL_REPO": "[command.ztunnel] with cargo",
    "BUILD_ZTUNNEL_TARGET": "[command.ztunnel] with cargo",
    "DEBUG_IMAGE": "images.NAME.base",
    "GCFLAGS": "go.gcflags, or --symbols",
    "GOBINARY": "go.version, or another Go first on PATH",
    "GOBUILDFLAGS": "go.tags, go.ldflags and go.gcflags",
    "ISTIO_DOCKER_BUILDER": "--engine",
    "ISTIO_DOCKER_QEMU": "--platform: nothing is emulated in a build",
    "ISTIO_ENVOY_DEBUG_URL": "fetch.envoy.source",
    "ISTIO_ENVOY_LINUX_DEBUG_PATH": "--envoy",
    "ISTIO_ENVOY_LINUX_DEBUG_URL": "fetch.envoy.source",
    "ISTIO_ENVOY_LINUX_RELEASE_PATH": "--envoy",
    "ISTIO_ENVOY_LINUX_RELEASE_URL": "fetch.envoy.source",
    "ISTIO_ENVOY_LINUX_VERSION": "ISTIO_ENVOY_VERSION",
    "ISTIO_ENVOY_LOCAL": "--envoy",
    "ISTIO_ENVOY_RELEASE_URL": "fetch.envoy.source",
    "ISTIO_ZTUNNEL_BASE_URL": "fetch.ztunnel.base_url",
    "ISTIO_ZTUNNEL_LINUX_RELEASE_PATH": "fetch.ztunnel.source with a file URL",
    "ISTIO_ZTUNNEL_RELEASE_URL": "fetch.ztunnel.source",
    "ISTIO_ZTUNNEL_VERSION": "fetch.ztunnel.version",
    "LDFLAGS": "go.ldflags",
    "PROXY_REPO_SHA": "fetch.envoy.version, or ISTIO_ENVOY_VERSION",
    "RELEASE_MODE": "fetch.envoy.source",
    "SIDECAR": "the names of the table [fetch]",
    "SKIP_MAKE": "nothing: what is up to date is not made again",
    "STATIC": "go.ldflags",
    "TARGET_OUT": "--out",
    "TARGET_OUT_LINUX": "--out",
    "ZTUNNEL_REPO_SHA": "fetch.ztunnel.version",
}
"""Istio's names that do not count, each with what does its work here."""

_OS, _ARCH, _IMAGES = "TARGET_OS", "TARGET_ARCH", "DOCKER_ARCHITECTURES"
TARGETS = "DOCKER_TARGETS"


def unread_names(environ: Mapping[str, str]) -> str:
    """Return one warning for Istio's names that are set and do not count; empty for none."""
    found = [f"{name} (use {INSTEAD[name]})" for name in sorted(INSTEAD) if environ.get(name)]
    return f"not read from the environment: {'; '.join(found)}" if found else ""


def read_names(environ: Mapping[str, str], project: Project, options: Options) -> tuple[str, ...]:
    """Return a note for each name that counts and is set, and what it does or is passed over for.

    VERSION, HUB and TAG are shown where the version, hub and tags are.
    """
    notes = []
    if names := [name for name in (_OS, _ARCH, _IMAGES) if environ.get(name)]:
        over = "passed over for --platform" if options.platform is not None else "the platforms"
        notes.append(f"{', '.join(names)} in the environment: {over}")
    if environ.get(TARGETS):
        over = "passed over for --only" if options.only is not None else "the images that are made"
        notes.append(f"{TARGETS} in the environment: {over}")
    given = (name for name in ENVOY_KEYS if environ.get(name, "").strip())
    notes += [f"{name} in the environment: {_envoy_note(name, environ, project)}" for name in given]
    notes += [_argument_note(name, environ, project) for name in ARGUMENTS if environ.get(name)]
    if names := [name for name in (VARIANTS, WITH_PLAIN) if environ.get(name)]:
        notes.append(f"{', '.join(names)} in the environment: {_variants_note(project, options)}")
    if environ.get("DEBUG"):
        over = "passed over for --symbols" if options.symbols is not None else "--symbols"
        notes.append(f"DEBUG in the environment: {over}")
    return tuple(notes)


def environment_platforms(
    environ: Mapping[str, str], host: Platform
) -> tuple[tuple[str, ...], str] | None:
    """Return the platforms that the environment names and from which names, or None.

    TARGET_OS and TARGET_ARCH mean one platform for binaries, and Linux of that
    architecture for images unless DOCKER_ARCHITECTURES lists those.
    """
    used = [name for name in (_OS, _ARCH, _IMAGES) if environ.get(name)]
    if not used:
        return None
    arch = environ.get(_ARCH) or host.arch
    found = [f"{environ.get(_OS) or host.os}/{arch}"] if used != [_IMAGES] else []
    images = [item.strip() for item in environ.get(_IMAGES, "").split(",") if item.strip()]
    found += images or [f"linux/{arch}"]
    return tuple(dict.fromkeys(found)), f"{', '.join(used)} in the environment"


def environment_images(environ: Mapping[str, str], project: Project) -> tuple[str, ...]:
    """Return the images that DOCKER_TARGETS lists, as ``docker.pilot docker.app``.

    Raises:
        UsageError: there is no such image.
    """
    names = [word.removeprefix("push.").removeprefix("docker.") for word in _words(environ)]
    for name in names:
        if name not in project.config.images:
            raise UsageError(
                f"{TARGETS} in the environment: there is no image '{name}'",
                details=near_miss(name, project.config.images),
                resolution="Unset it, or name images of the targets file, as docker.pilot.",
            )
    return tuple(dict.fromkeys(names))


def _words(environ: Mapping[str, str]) -> list[str]:
    return environ.get(TARGETS, "").replace(",", " ").split()


def _argument_note(name: str, environ: Mapping[str, str], project: Project) -> str:
    if not any(image.dockerfile for image in project.config.images.values()):
        return (
            f"{name} in the environment: there is no Dockerfile of the source tree that it is "
            "for; use bases.NAME.reference or the table [mirrors]"
        )
    taken = project.config.args.get(name) == escape(environ[name].strip())
    return f"{name} in the environment: " + (f"args.{name}" if taken else "passed over for --set")


def _variants_note(project: Project, options: Options) -> str:
    if not project.config.variants:
        return "there is no table [variants]"
    return "passed over for --variant" if options.variant is not None else "the variants"


def _envoy_note(name: str, environ: Mapping[str, str], project: Project) -> str:
    fetch = project.config.fetch.get("envoy")
    if fetch is None:
        return "there is no fetch.envoy for it"
    key = ENVOY_KEYS[name]
    if name == ENVOY_BASE_URL and not any("base_url" in names_in(s.url) for s in fetch.source):
        return "passed over, no source of fetch.envoy has ${base_url}"
    taken = getattr(fetch, key) == environ[name].strip()
    return f"fetch.envoy.{key}" if taken else "passed over for --set"
