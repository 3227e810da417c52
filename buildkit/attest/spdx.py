"""SPDX 2.3 documents in JSON; equal components give equal bytes.

Fields are those of the specification, https://spdx.github.io/spdx-spec/v2.3/. Identifiers
are made of what a component is, so that they stay where others are added or removed; the
namespace is made of the whole document, so that it is unique to its content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec.structs import astuple, replace

from buildkit import __version__
from buildkit.attest.component import Component
from buildkit.digest import Digest, canonical_json
from buildkit.errors import ConfigError
from buildkit.oci.image import timestamp

SUFFIX = ".spdx.json"

NAMESPACE = "https://spdx.org/spdxdocs"
"""What the specification proposes for documents that lie nowhere on the web."""
_ROOT = "SPDXRef-DOCUMENT"
_UNKNOWN = "NOASSERTION"
_OTHER = re.compile(r"[^A-Za-z0-9.-]+")


def spdx_document(root: Component, *, epoch: int, namespace: str = NAMESPACE) -> bytes:
    """Return the document that describes a component and everything below it.

    Args:
        root: what it is about.
        epoch: the time of creation, in seconds since 1970.
        namespace: the address below which it could be published.
    """
    components = {identifier(item): item for item in root.everything}
    name = "-".join(part for part in (root.name, root.version) if part)
    value = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _ROOT,
        "name": name,
        "creationInfo": {
            "created": timestamp(epoch),
            "creators": [f"Tool: meshwright-{__version__}"],
        },
        "packages": [_package(key, components[key]) for key in sorted(components)],
        "relationships": _relationships(root),
    }
    base = f"{namespace.rstrip('/')}/{_OTHER.sub('-', name)}"
    value["documentNamespace"] = f"{base}-{Digest.of_json(value).hex}"
    return canonical_json(value) + b"\n"


def identifier(component: Component) -> str:
    """Return the SPDXID of a component: its name, and a digest of all that it is by itself."""
    alone = replace(component, contains=(), depends=())
    digest = Digest.of_json([str(item) for item in astuple(alone)])
    return f"SPDXRef-{_OTHER.sub('-', component.name).strip('-')}-{digest.short}"


def license_expression(text: str, key: str) -> str:
    """Return an SPDX license expression in its canonical spelling; empty stays empty.

    Args:
        text: the expression.
        key: where it is written, for messages.

    Raises:
        ConfigError: it is none.
    """
    from packaging.licenses import (  # noqa: PLC0415 - it holds the list of all licenses
        InvalidLicenseExpression,
        canonicalize_license_expression,
    )

    try:
        return canonicalize_license_expression(text) if text else ""
    except InvalidLicenseExpression as error:
        raise ConfigError(
            f"{key} is no SPDX license expression: {text!r}",
            details=str(error),
            resolution="Write it like Apache-2.0, or 'MIT OR BSD-3-Clause'; "
            "https://spdx.org/licenses lists the names.",
        ) from error


def _package(key: str, component: Component) -> dict[str, Any]:
    value: dict[str, Any] = {
        "SPDXID": key,
        "name": component.name,
        "versionInfo": component.version,
        "primaryPackagePurpose": component.purpose.value,
        "packageFileName": component.file,
        "supplier": component.supplier or _UNKNOWN,
        "downloadLocation": _UNKNOWN,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": component.license or _UNKNOWN,
        "copyrightText": _UNKNOWN,
        "sourceInfo": component.source,
        "comment": component.comment,
    }
    if component.digest:
        value["checksums"] = [{"algorithm": "SHA256", "checksumValue": component.digest.hex}]
    if component.purl:
        purl = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl"}
        value["externalRefs"] = [{**purl, "referenceLocator": component.purl}]
    return {"filesAnalyzed": False, **{name: item for name, item in value.items() if item}}


def _relationships(root: Component) -> list[dict[str, str]]:
    found = {(_ROOT, "DESCRIBES", identifier(root)), *_edges(root)}
    return [
        {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
        for one, kind, other in sorted(found)
    ]


def _edges(component: Component) -> Iterator[tuple[str, str, str]]:
    here = identifier(component)
    for kind, parts in (("CONTAINS", component.contains), ("DEPENDS_ON", component.depends)):
        for part in parts:
            yield here, kind, identifier(part)
            yield from _edges(part)
