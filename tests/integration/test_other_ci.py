"""The shell of docs/ci, run as Prow, GitLab and Jenkins would: another's checkout, no daemon."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import msgspec
import pytest

from buildkit.http import HttpPool
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import Logins
from tests.integration.test_signed_release import PASSWORD, Project

pytestmark = [pytest.mark.go, pytest.mark.registry, pytest.mark.timeout(600)]

FILES = Path(__file__).parents[2] / "docs" / "ci"
SOMEBODY = 12345
INV = f"""\
#!/bin/sh
exec {sys.executable} -c 'from buildkit.tasks import main; main()' "$@"
"""


class Checkout(Project):
    """The tagged project as another user's checkout, on a machine without a Docker daemon."""

    def __init__(self, root: Path, hub: str) -> None:
        super().__init__(root, hub)
        self.write(".git/info/exclude", "inv\nparts/\n.cache/\nartifacts/\n")
        self.write("inv", INV).chmod(0o755)
        if os.getuid() == 0:
            for path in (self.place, *self.place.rglob("*")):
                os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)
        self.environ = {
            **os.environ,
            "COSIGN_PASSWORD": PASSWORD,
            "COSIGN_KEY": str(self.place / "cosign.key"),
            "COSIGN_PUBLIC_KEY": str(self.place / "cosign.pub"),
            "DOCKER_HOST": f"unix://{root}/docker.sock",
            "MESHWRIGHT_CACHE": str(root / "cache"),
            "PYTHONPATH": str(FILES.parents[1]),
        }

    def sh(self, script: str, *words: str, **environ: str) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", script, "sh", *words],
            cwd=self.place,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def published(self, hub: str) -> tuple[str, ...]:
        client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
        return client.tags(Reference.parse(f"{hub}/released/app"))

    def whole(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.place / "dist/whole/release.json").read_bytes())
        return found


@pytest.fixture
def checkout(tmp_path: Path, hub: str) -> Checkout:
    return Checkout(tmp_path, hub)


@pytest.mark.parametrize("flags", [(), ("--snapshot",)])
def test_prow_keeps_a_release(checkout: Checkout, tmp_path: Path, flags: tuple[str, ...]) -> None:
    kept = tmp_path / "artifacts"
    kept.mkdir()
    shutil.copy(FILES / "prow.sh", tmp_path / "prow.sh")
    if flags:
        checkout.write("cmd/app/extra.go", "package main\n")
    checkout.sh(f'{tmp_path}/prow.sh "$@"', *flags, ARTIFACTS=str(kept))
    assert {path.name for path in kept.iterdir()} == {"dist", "plan.json", "release.json"}
    document = json.loads((kept / "release.json").read_bytes())
    assert (document["snapshot"], document["source"]["tag"]) == (bool(flags), "v1.2.3")
    assert {tuple(image["platforms"]) for image in document["images"]} == {
        ("linux/amd64", "linux/arm64")
    }
    assert json.loads((kept / "plan.json").read_bytes())["units"]


def test_prow_needs_a_place_to_keep_it(checkout: Checkout) -> None:
    done = subprocess.run(
        [FILES / "prow.sh"],
        cwd=checkout.place,
        env={key: value for key, value in checkout.environ.items() if key != "ARTIFACTS"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "ARTIFACTS=/some/dir" in done.stderr


def test_gitlab_makes_parts_and_publishes_the_whole(checkout: Checkout, hub: str) -> None:
    jobs = msgspec.yaml.decode((FILES / "gitlab-ci.yml").read_bytes())
    place = str(checkout.place)
    # GOCACHE alone stays this machine's: the standard library is compiled often enough.
    variables = {
        key: jobs["variables"][key].replace("$CI_PROJECT_DIR", place)
        for key in ("MESHWRIGHT_CACHE", "GOMODCACHE")
    }
    variables["CI_COMMIT_TAG"] = "v1.2.3"
    count = str(jobs["part"]["parallel"])
    for number in range(1, int(count) + 1):
        checkout.sh(
            "\n".join(jobs["part"]["script"]),
            **variables,
            CI_NODE_INDEX=str(number),
            CI_NODE_TOTAL=count,
        )
    checkout.sh("\n".join(jobs["merge"]["script"]), **variables)
    assert set(checkout.whole()["platforms"]) == {"linux/amd64", "linux/arm64"}
    checkout.sh("\n".join(jobs["publish"]["script"]), **variables)
    assert "1.2.3" in checkout.published(hub)


def test_jenkins_makes_parts_and_publishes_the_whole(checkout: Checkout, hub: str) -> None:
    text = (FILES / "Jenkinsfile").read_text()
    found = re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL)
    part, merge, smoke, publish = map(textwrap.dedent, found)
    for shard in re.findall(r"'(\d/\d)'", text):
        checkout.sh(part, SHARD=shard, TAG_NAME="v1.2.3")
    checkout.sh(merge)
    assert not checkout.whole()["snapshot"]
    checkout.sh(f"sh -n <<'END'\n{smoke}END")
    checkout.sh(publish)
    assert "1.2.3" in checkout.published(hub)
