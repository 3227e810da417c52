"""SLSA provenance: how a release was built, from what, and by whom.

https://slsa.dev/spec/v1.0/provenance. No times are in it, and nothing of one machine, so
that building again gives the same bytes; who wants the times finds them at the builder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from buildkit import __version__
from buildkit.attest.materials import Material
from buildkit.attest.parameters import join_parameters, merge_groups
from buildkit.attest.statement import SLSA, Statement, Subject

BUILD_TYPE = "urn:meshwright:release:v1"
"""What external and internal parameters mean: docs/attestations.md."""
LOCAL_BUILDER = "urn:meshwright:builder:local"
"""Some machine that nobody vouches for."""


class Build(Struct, frozen=True, kw_only=True):
    """One build.

    Attributes:
        external: what the one who asked for it decided: version, platforms, flags.
        internal: what the builder decided, such as build settings.
        materials: everything that went into it.
        builder: an address of who ran it.
        versions: of the tools that it used, by name.
        invocation: an address of the run; empty where there is none.
    """

    external: Mapping[str, Any]
    internal: Mapping[str, Any] = field(default_factory=dict)
    materials: tuple[Material, ...]
    builder: str = LOCAL_BUILDER
    versions: Mapping[str, str] = field(default_factory=dict)
    invocation: str = ""


def provenance(subjects: Iterable[Subject], build: Build) -> Statement:
    """Return the provenance of artifacts."""
    materials = {(item.uri, item.name): item for item in build.materials}
    details: dict[str, Any] = {
        "builder": {
            "id": build.builder,
            "version": {"meshwright": __version__, **build.versions},
        }
    }
    if build.invocation:
        details["metadata"] = {"invocationId": build.invocation}
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": build.external,
            "internalParameters": build.internal,
            "resolvedDependencies": [materials[key].to_json() for key in sorted(materials)],
        },
        "runDetails": details,
    }
    return Statement.of(subjects, SLSA, predicate)


def merge_provenance(
    parts: Sequence[tuple[Mapping[str, Any], tuple[str, ...]]], subjects: Iterable[Subject]
) -> Statement:
    """Return the provenance of the whole from that of its parts.

    Args:
        parts: the predicate of each, and the platforms that it is for.
        subjects: what the whole consists of.

    Raises:
        KeyError, TypeError: a part is no provenance of this tool.
    """
    definitions = [part["buildDefinition"] for part, _ in parts]
    first = definitions[0]
    units = {unit for item in definitions for unit in item["externalParameters"]["units"]}
    materials = {
        (item.get("uri", ""), item.get("name", "")): item
        for definition in definitions
        for item in definition["resolvedDependencies"]
    }
    groups = [
        (definition["internalParameters"].get("compile", {}), platforms)
        for definition, (_, platforms) in zip(definitions, parts, strict=True)
    ]
    commands = {
        name: item
        for definition in definitions
        for name, item in definition["internalParameters"].get("commands", {}).items()
    }
    predicate = {
        "buildDefinition": {
            **first,
            "externalParameters": {**first["externalParameters"], "units": sorted(units)},
            "internalParameters": join_parameters(merge_groups(groups), commands),
            "resolvedDependencies": [materials[key] for key in sorted(materials)],
        },
        "runDetails": parts[0][0]["runDetails"],
    }
    return Statement.of(subjects, SLSA, predicate)


def ci_builder(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return builder and invocation as the CI system here names them, or the local builder.

    GitHub's are its workflow at a ref, and the run.
    """
    server = environ.get("GITHUB_SERVER_URL", "")
    workflow = environ.get("GITHUB_WORKFLOW_REF", "")
    if not (server and workflow):
        return LOCAL_BUILDER, ""
    run = f"{environ.get('GITHUB_REPOSITORY', '')}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}"
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "1")
    return f"{server}/{workflow}", f"{server}/{run}/attempts/{attempt}"
