"""The requests of the Distribution specification, answered from a fake registry's memory."""

from __future__ import annotations

import base64
import json
import re
import secrets
import socket
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from buildkit.digest import Digest
from buildkit.oci.model import INDEXES, MANIFESTS, OCI_INDEX
from tests.fakes.loopback import LoopbackHandler

if TYPE_CHECKING:
    from tests.fakes.registry import FakeRegistry, Login

_NAME = r"(?P<name>[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
_ROUTES = (
    ("ping", r"/v2/"),
    ("token", r"/token"),
    ("catalog", r"/v2/_catalog"),
    ("tag_list", rf"/v2/{_NAME}/tags/list"),
    ("manifest", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)"),
    ("open_upload", rf"/v2/{_NAME}/blobs/uploads/"),
    ("upload", rf"/v2/{_NAME}/blobs/uploads/(?P<session>[^/]+)"),
    ("blob", rf"/v2/{_NAME}/blobs/(?P<digest>[^/]+)"),
    ("referrers", rf"/v2/{_NAME}/referrers/(?P<digest>[^/]+)"),
)


class DistributionHandler(LoopbackHandler):
    """Answers for the registry in ``fake``, or as the next fault says."""

    fake: FakeRegistry

    def setup(self) -> None:
        """Let the registry end this connection when it is closed."""
        super().setup()
        self.fake.connections.add(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        self.fake.connections.discard(self.connection)
        super().finish()

    def handle_one_request(self) -> None:
        """Ends quietly where the other side, or a fault, broke the connection."""
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._route()

    def do_HEAD(self) -> None:
        self._route()

    def do_PUT(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_PATCH(self) -> None:
        self._route()

    def _route(self) -> None:
        self.query = parse_qs(urlsplit(self.path).query)
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.fault = self.fake.receive(self.command, self.path, headers)
        if self.fault and self.fault.reset is not None:
            self._reset(self.fault.reset)
            return
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.fault and self.fault.redirect:
            self._answer(307, {"Location": self.fault.redirect + self.path})
        elif self.fault and self.fault.status:
            self._answer(self.fault.status, dict(self.fault.headers), self.fault.body)
        else:
            self._dispatch()

    def _dispatch(self) -> None:
        path = urlsplit(self.path).path
        for name, pattern in _ROUTES:
            if match := re.fullmatch(pattern, path):
                if name == "token" or self._may(match.groupdict().get("name", "")):
                    getattr(self, f"_{name}")(**match.groupdict())
                return
        self._refuse(404, "NAME_INVALID", path)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        body, cut = self._spoil(body)
        self.send_response_only(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        if not (self.fault and self.fault.status):
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def _spoil(self, body: bytes) -> tuple[bytes, int | None]:
        if self.fault is None or not body:
            return body, None
        if self.fault.flip:
            body = body[:-1] + bytes((body[-1] ^ 1,))
        return body, self.fault.cut

    def _json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self._answer(status, {"Content-Type": "application/json", **(headers or {})}, body)

    def _refuse(
        self, status: int, code: str, message: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        self._json(status, {"errors": [{"code": code, "message": message}]}, headers)

    def _reset(self, after: int) -> None:
        self.rfile.read(min(after, int(self.headers.get("Content-Length") or 0)))
        # An abortive close sends RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _may(self, name: str) -> bool:
        login = self.fake.login
        action = {"GET": "pull", "HEAD": "pull"}.get(self.command, "push")
        if login is None or (login.anonymous_pull and action == "pull" and login.scheme == "basic"):
            return True
        given = self.headers.get("Authorization", "")
        needed = f"repository:{name}:{action}" if name else ""
        if login.scheme == "basic":
            challenge = 'Basic realm="fake"'
            allowed = given == _basic(login)
        else:
            scope = f',scope="{needed}"' if needed else ""
            challenge = f'Bearer realm="{self.fake.url}/token",service="fake"{scope}'
            granted = self.fake.tokens.get(given.removeprefix("Bearer "))
            allowed = granted is not None and (not needed or needed in granted)
        if not allowed:
            self._refuse(401, "UNAUTHORIZED", "log in", {"WWW-Authenticate": challenge})
        return allowed

    def _token(self) -> None:
        login = self.fake.login
        assert login is not None
        form = parse_qs(self.body.decode()) if self.command == "POST" else self.query
        given = self.headers.get("Authorization")
        if self.command == "POST":
            known = form.get("refresh_token") == [login.identity_token]
        else:
            known = given == _basic(login)
        if not known and (given or not login.anonymous_pull):
            self._refuse(401, "UNAUTHORIZED", "wrong credentials")
            return
        token = secrets.token_hex(16)
        scopes = " ".join(form.get("scope", [])).split()
        self.fake.tokens[token] = frozenset(
            f"{kind}:{name}:{action}"
            for kind, name, actions in (scope.split(":") for scope in scopes)
            for action in actions.split(",")
            if known or action == "pull"
        )
        self._json(200, {"token": token, "expires_in": login.lifetime})

    def _ping(self) -> None:
        self._json(200, {})

    def _catalog(self) -> None:
        names = sorted(name for name, held in self.fake.content.items() if held.manifests)
        self._page("repositories", names, {})

    def _tag_list(self, name: str) -> None:
        if name not in self.fake.content:
            self._refuse(404, "NAME_UNKNOWN", name)
            return
        self._page("tags", sorted(self.fake.content[name].tags), {"name": name})

    def _page(self, key: str, entries: list[str], more: dict[str, str]) -> None:
        size = min(int(self.query.get("n", ["1000"])[0]), self.fake.page_size)
        last = self.query.get("last", [""])[0]
        rest = [entry for entry in entries if entry > last]
        page, headers = rest[:size], {}
        if len(rest) > size:
            path = urlsplit(self.path).path
            query = urlencode({"n": size, "last": page[-1]})
            headers["Link"] = f'<{path}?{query}>; rel="next"'
        self._json(200, {**more, key: page}, headers)

    def _manifest(self, name: str, reference: str) -> None:
        match self.command:
            case "PUT":
                self._put_manifest(name, reference)
            case _:
                held = self.fake.look(name)
                digest = held.tags.get(reference, reference)
                if digest not in held.manifests:
                    self._refuse(404, "MANIFEST_UNKNOWN", reference)
                    return
                media_type, data = held.manifests[digest]
                headers = {"Content-Type": media_type, **self._digest_header(digest)}
                headers["Content-Length"] = str(len(data))
                self._answer(200, headers, data)

    def _put_manifest(self, name: str, reference: str) -> None:
        media_type = self.headers.get("Content-Type", "")
        digest = str(Digest.of_bytes(self.body))
        if media_type not in INDEXES | MANIFESTS:
            self._refuse(400, "MANIFEST_INVALID", f"media type {media_type}")
        elif ":" in reference and reference != digest:
            self._refuse(400, "DIGEST_INVALID", reference)
        elif missing := self._missing(name, json.loads(self.body)):
            self._refuse(400, "MANIFEST_BLOB_UNKNOWN", missing)
        else:
            held = self.fake.repository(name)
            held.manifests[digest] = (media_type, self.body)
            if ":" not in reference:
                held.tags[reference] = digest
            headers = {"Location": f"/v2/{name}/manifests/{digest}", **self._digest_header(digest)}
            subject = json.loads(self.body).get("subject")
            if subject and self.fake.has_referrers:
                headers["OCI-Subject"] = subject["digest"]
            self._answer(201, headers)

    def _missing(self, name: str, manifest: dict[str, Any]) -> str:
        held = self.fake.look(name)
        blobs = [manifest["config"], *manifest["layers"]] if "layers" in manifest else []
        for item in blobs:
            if len(held.blobs.get(item["digest"], b"")) != item["size"]:
                return str(item["digest"])
        for item in manifest.get("manifests", ()):
            if len(held.manifests.get(item["digest"], ("", b""))[1]) != item["size"]:
                return str(item["digest"])
        return ""

    def _blob(self, name: str, digest: str) -> None:
        data = self.fake.look(name).blobs.get(digest)
        if data is None:
            self._refuse(404, "BLOB_UNKNOWN", digest)
            return
        headers = {"Content-Type": "application/octet-stream", **self._digest_header(digest)}
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if start and self.command == "GET":
            first = int(start[1])
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            self._answer(206, headers, data[first:])
        else:
            self._answer(200, {**headers, "Content-Length": str(len(data))}, data)

    def _open_upload(self, name: str) -> None:
        source, wanted = self.query.get("from", [""])[0], self.query.get("mount", [""])[0]
        found = self.fake.look(source).blobs.get(wanted)
        if found is not None:
            self.fake.repository(name).blobs[wanted] = found
            self._answer(201, {"Location": f"/v2/{name}/blobs/{wanted}"})
            return
        session = secrets.token_hex(8)
        if not (self.fault and self.fault.lose_session):
            self.fake.sessions[session] = bytearray()
        self._answer(202, {"Location": f"/v2/{name}/blobs/uploads/{session}?_state=x%2By"})

    def _upload(self, name: str, session: str) -> None:
        received = self.fake.sessions.get(session)
        if received is None or self.query.get("_state") != ["x+y"]:
            self._refuse(404, "BLOB_UPLOAD_UNKNOWN", session)
            return
        received += self.body
        if self.command == "PATCH":
            self._answer(202, {"Location": self.path, "Range": f"0-{len(received) - 1}"})
            return
        del self.fake.sessions[session]
        digest = str(Digest.of_bytes(bytes(received)))
        if self.query.get("digest") != [digest]:
            self._refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        self.fake.repository(name).blobs[digest] = bytes(received)
        location = {"Location": f"/v2/{name}/blobs/{digest}"}
        self._answer(201, {**location, **self._digest_header(digest)})

    def _referrers(self, name: str, digest: str) -> None:
        if not self.fake.has_referrers:
            self._refuse(404, "UNSUPPORTED")
            return
        found = {}
        for own, (media_type, data) in sorted(self.fake.look(name).manifests.items()):
            value = json.loads(data)
            if value.get("subject", {}).get("digest") == digest:
                found[own] = {"mediaType": media_type, "digest": own, "size": len(data)}
                kind = value.get("artifactType") or value["config"]["mediaType"]
                found[own] |= {"artifactType": kind, "annotations": value.get("annotations", {})}
        size, last = self.fake.page_size, self.query.get("last", [""])[0]
        rest = [own for own in found if own > last]
        headers = {"Content-Type": OCI_INDEX}
        if len(rest) > size:
            kept = {key: values[0] for key, values in self.query.items()}
            query = urlencode({**kept, "last": rest[size - 1]})
            headers["Link"] = f'<{urlsplit(self.path).path}?{query}>; rel="next"'
        page = [found[own] for own in rest[:size]]
        self._json(200, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page}, headers)

    def _digest_header(self, digest: str) -> dict[str, str]:
        if self.fault and self.fault.digest:
            return {"Docker-Content-Digest": self.fault.digest}
        return {"Docker-Content-Digest": digest} if self.fake.reports_digests else {}


def _basic(login: Login) -> str:
    pair = f"{login.username}:{login.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
