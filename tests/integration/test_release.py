"""A release of a small project: twice the same, refused where it must be, and proven by others."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.layouts import validate_layout
from tests.integration.tiny_project import PROJECT, Tree

pytestmark = [pytest.mark.go, pytest.mark.timeout(300)]

SECONDS = 1_700_000_000
RELEASE = """\
[release]
names = { linux = "tux" }
[release.archives.tiny]
folder = "tiny-${version}"
formats = ["tar.gz", "zip"]
binaries = { app = "bin/app" }
files = { LICENSE = "LICENSE", samples = "samples" }
generated = { "tools/said" = ["say", "hello"] }
[release.archives.tool]
name = "tool-${version}-${os}-${arch}"
binaries = { tool = "tool" }
"""
FILES = {
    "CHANGELOG.md",
    "artifacts.json",
    "checksums.txt",
    "digests.txt",
    "metadata.json",
    "oci/index.json",
    "oci/oci-layout",
    "provenance.json",
    "release.json",
    "sboms/linux_amd64/app.spdx.json",
    "sboms/linux_amd64/image-app.spdx.json",
    "sboms/linux_amd64/say.spdx.json",
    "sboms/linux_amd64/tool.spdx.json",
    "sboms/linux_arm64/app.spdx.json",
    "sboms/linux_arm64/image-app.spdx.json",
    "sboms/linux_arm64/say.spdx.json",
    "tiny-1.2.3-source.tar.gz",
    "tiny-1.2.3-tux-amd64.tar.gz",
    "tiny-1.2.3-tux-amd64.zip",
    "tiny-1.2.3-tux-arm64.tar.gz",
    "tiny-1.2.3-tux-arm64.zip",
    "tool-1.2.3-tux-amd64.tar.gz",
}


TARGETS = PROJECT.replace("[bases]", 'say = { package = "./cmd/say" }\n[bases]') + RELEASE

SAY = """\
package main

import (
	"fmt"
	"os"
)

var version, revision string

func main() { fmt.Println(version, len(revision), os.Args[1:], len(os.Environ())) }
"""


class Project(Tree):
    """The tiny project with something to release."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.write("targets.toml", TARGETS)
        self.write("cmd/say/main.go", SAY)
        self.write("LICENSE", "Do as you like.\n")
        self.write("samples/a.yaml", "a: 1\n")
        self.write("samples/run.sh", "#!/bin/sh\n").chmod(0o755)
        self.write(".gitignore", "out/\ndist/\n*.local.toml\n")
        self.commit("feat(app): the first program")
        self.git("tag", "v1.2.3")

    def git(self, *words: str) -> str:
        identity = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgSign=false")
        dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"{SECONDS} +0000")
        done = subprocess.run(
            ["git", *identity, *words],
            cwd=self.place,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **dates},
        )
        return done.stdout.strip()

    def commit(self, subject: str) -> None:
        self.git("add", ".")
        self.git("commit", "-qm", subject)

    def invoke(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from buildkit.tasks import main; main()", *words],
            cwd=self.place,
            env={**os.environ, "MESHWRIGHT_CACHE": str(self.root / "cache"), **env},
            capture_output=True,
            text=True,
            check=False,
        )

    def release(self, *words: str, **env: str) -> dict[str, Any]:
        done = self.invoke("release", *words, "--json", **env)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def refused(self, *words: str, **env: str) -> str:
        """Release, and return what was said; nothing is made and dist/ is as it was."""
        before = files(self.dist)
        done = self.invoke("release", *words, **env)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        assert files(self.dist) == before
        return done.stderr

    @property
    def dist(self) -> Path:
        return self.place / "dist"


def files(folder: Path) -> dict[str, str]:
    """Return the digest of each file below a directory."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with its release; nobody changes it."""
    project = Project(tmp_path_factory.mktemp("release"))
    project.release()
    return project


@pytest.fixture
def project(made: Project, tmp_path: Path) -> Project:
    """A copy of it, to be changed; its cache is shared, as far as it goes."""
    shutil.copytree(made.root, tmp_path / "copy", symlinks=True)
    copied = Project.__new__(Project)
    copied.root, copied.place = tmp_path / "copy", tmp_path / "copy" / "mesh"
    return copied


def test_dist_holds_what_was_asked_for(made: Project) -> None:
    names = {name for name in files(made.dist) if "/blobs/" not in name}
    assert names == FILES
    document = json.loads((made.dist / "release.json").read_text())
    assert document["source"]["tag"] == "v1.2.3"
    assert document["source"]["revision"] == made.git("rev-parse", "HEAD")
    assert document["epoch"] == SECONDS
    listed = {file["path"]: file["sha256"] for file in document["files"]}
    found = files(made.dist)
    assert listed == {name: found[name] for name in listed}
    assert names - set(listed) == {
        "release.json",
        "checksums.txt",
        "oci/index.json",
        "oci/oci-layout",
    }


def test_sha256sum_agrees(made: Project) -> None:
    words = ["sha256sum", "--check", "--strict", "--quiet", "checksums.txt"]
    subprocess.run(words, cwd=made.dist, check=True)


def test_archives_have_their_layout_and_the_programs_their_version(
    made: Project, tmp_path: Path
) -> None:
    with tarfile.open(made.dist / "tiny-1.2.3-tux-amd64.tar.gz") as archive:
        found = {item.name: (item.mode, item.mtime) for item in archive}
        archive.extractall(tmp_path, filter="data")
    with zipfile.ZipFile(made.dist / "tiny-1.2.3-tux-amd64.zip") as archive:
        assert set(archive.namelist()) == set(found)
    assert found == {
        "tiny-1.2.3/LICENSE": (0o644, SECONDS),
        "tiny-1.2.3/bin/app": (0o755, SECONDS),
        "tiny-1.2.3/samples/a.yaml": (0o644, SECONDS),
        "tiny-1.2.3/samples/run.sh": (0o755, SECONDS),
        "tiny-1.2.3/tools/said": (0o644, SECONDS),
    }
    assert (tmp_path / "tiny-1.2.3" / "tools" / "said").read_text() == "1.2.3 40 [hello] 5\n"
    program = tmp_path / "tiny-1.2.3" / "bin" / "app"
    said = subprocess.run([program], check=True, capture_output=True, text=True).stderr
    assert said.split() == ["1.2.3", made.git("rev-parse", "HEAD"), "app"]


def test_the_layout_has_every_platform_and_its_digest_is_named(made: Project) -> None:
    images = validate_layout(made.dist / "oci")
    (name,) = images
    assert name.endswith("/app:1.2.3")
    assert set(images[name]) == {"amd64", "arm64"}
    digest, _, reference = (made.dist / "digests.txt").read_text().strip().partition("  ")
    index = json.loads((made.dist / "oci" / "index.json").read_text())
    assert (f"sha256:{digest}", reference) == (index["manifests"][0]["digest"], name)


def test_the_source_is_the_commit(made: Project) -> None:
    with tarfile.open(made.dist / "tiny-1.2.3-source.tar.gz") as archive:
        names = {item.name.removeprefix("tiny-1.2.3/") for item in archive if item.isfile()}
    assert names == set(made.git("ls-files").splitlines())


def test_what_a_users_git_is_set_to_changes_nothing(made: Project, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[core]\nautocrlf = true\n[tar]\numask = 0077\n[log]\nshowSignature = true\n"
        "[format]\npretty = oneline\n[diff]\nnoprefix = true\n"
    )
    made.release("--dist", str(tmp_path / "dist"), HOME=str(home), GOCACHE=str(tmp_path / "go"))
    assert files(tmp_path / "dist") == files(made.dist)


def test_two_releases_in_two_directories_are_the_same(made: Project, tmp_path: Path) -> None:
    again = Project.__new__(Project)
    again.root, again.place = tmp_path, tmp_path / "elsewhere" / "clone"
    again.place.parent.mkdir()
    subprocess.run(["git", "clone", "-q", made.place, again.place], check=True)
    again.release(TZ="Asia/Tokyo", LC_ALL="C")
    assert files(again.dist) == files(made.dist)


def test_a_repeat_writes_nothing(made: Project) -> None:
    before = made.snapshot()
    document = made.release()
    after = made.snapshot()
    locks = (str(made.place / "out" / ".buildkit"), str(made.root / "cache"))
    changed = {name for name in after if before.get(name) != after[name]}
    assert document["written"] is False
    assert not {name for name in changed if not name.startswith(locks)}
    assert {unit["status"] for unit in _units(made)} == {"cached"}


def _units(project: Project) -> list[dict[str, Any]]:
    flags = ("--stamp", "--layout", "--no-push", "--no-load", "--version=1.2.3", "--tag=1.2.3")
    found: list[dict[str, Any]] = project.document("build", "docker", *flags)["units"]
    return [unit for unit in found if unit["status"] != "skipped"]


def test_a_new_version_takes_the_place_of_the_old_one(project: Project) -> None:
    project.write("samples/b.yaml", "b: 2\n")
    project.commit("fix: one more sample")
    project.git("tag", "v1.2.4")
    document = project.release()
    assert document["previous_tag"] == "v1.2.3"
    names = files(project.dist)
    assert "tiny-1.2.4-tux-amd64.zip" in names
    assert not [name for name in names if "1.2.3" in name]
    assert "Changes since v1.2.3." in (project.dist / "CHANGELOG.md").read_text()
    assert "## Fixes" in (project.dist / "CHANGELOG.md").read_text()


def test_an_untagged_commit_is_refused_until_it_is_named(project: Project) -> None:
    project.write("samples/b.yaml", "b: 2\n")
    project.commit("more")
    said = project.refused()
    assert "the commit has no tag" in said
    assert "--snapshot" in said
    assert project.release("--version", "1.3.0-rc.1")["version"] == "1.3.0-rc.1"


def test_a_version_that_is_taken_is_refused(project: Project) -> None:
    project.write("samples/b.yaml", "b: 2\n")
    project.commit("more")
    assert "1.2.3 is taken" in project.refused("--version", "1.2.3")


def test_a_version_that_is_not_semantic_is_refused(project: Project) -> None:
    assert "is no version for a release" in project.refused("--version", "latest")


def test_a_dirty_tree_is_refused_but_for_a_snapshot(project: Project) -> None:
    main = project.place / "cmd" / "app" / "main.go"
    main.write_text(main.read_text() + "\n// edited\n")
    assert "the tree differs from its commit" in project.refused()
    document = project.release("--snapshot")
    assert (document["snapshot"], document["source"]["dirty"]) == (True, True)


def test_a_file_that_nobody_else_has_is_refused(project: Project) -> None:
    project.write("notes.txt", "what no unit uses")
    assert project.release()["written"] is False
    used = project.write("cmd/app/more.go", "package main\n")
    assert "cmd/app/more.go is in the release, but in no commit" in project.refused()
    used.unlink()
    project.write("samples/mine.yaml", "")
    assert "samples/mine.yaml is in the release, but in no commit" in project.refused()


def test_a_local_file_and_set_are_refused(project: Project) -> None:
    assert "--set go.cgo=false" in project.refused("--set", "go.cgo=false")
    project.write("targets.local.toml", '[registry]\nhub = "localhost:5999"\n')
    assert "targets.local.toml is in force" in project.refused("--snapshot")


def test_a_base_that_is_another_tomorrow_is_refused_where_it_is_used(project: Project) -> None:
    program = project.write("programs/mmdebstrap", "")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    whole = '[bases.whole]\nkind = "bootstrap"\nsuite = "trixie"\n'
    project.write("targets.toml", TARGETS + whole)
    project.commit("feat: a base that no image uses")
    words = ("--dry-run", "--version", "1.2.4")
    assert project.invoke("release", *words, PATH=path).returncode == 0
    used = TARGETS.replace('base = ["static"]', 'base = ["whole"]')
    assert used != TARGETS
    project.write("targets.toml", used + whole)
    project.commit("feat: and now one does")
    assert "the base whole has whatever" in project.refused(*words, PATH=path)


def test_a_clock_in_the_past_is_refused(project: Project) -> None:
    assert "which is to come" in project.refused(SOURCE_DATE_EPOCH="4000000000")


def test_a_license_that_is_not_there_is_named(project: Project) -> None:
    (project.place / "LICENSE").unlink()
    assert "'LICENSE' does not exist" in project.refused()
    without = TARGETS.replace('LICENSE = "LICENSE", ', "")
    assert without != TARGETS
    project.write("targets.toml", without)
    project.commit("feat: no license")
    project.git("tag", "-f", "v1.2.3")
    assert "the project's license file: there is none" in project.refused()
    project.write("COPYING", "Do as you like.\n")
    assert "the project's license file: COPYING is in no commit" in project.refused()
    project.write("targets.toml", without.replace("[release]", "[release]\nlicense = false", 1))
    project.commit("feat: none is needed")
    project.git("tag", "-f", "v1.2.3")
    assert project.release("--dist", "other")["snapshot"] is False


def test_an_edited_release_is_refused_before_anything_is_made(project: Project) -> None:
    (project.dist / "CHANGELOG.md").write_text("better words\n")
    shutil.rmtree(project.place / "out")
    assert "CHANGELOG.md was changed" in project.refused()
    assert not (project.place / "out" / "linux_amd64").exists()
    assert project.release("--force")["written"] is True


def test_a_directory_of_somebody_else_is_left_alone(project: Project) -> None:
    project.write("dist/notes.txt", "mine")
    (project.dist / "release.json").unlink()
    assert "is no release" in project.refused()


def test_all_that_has_grown_beyond_its_budget_is_refused_at_once(project: Project) -> None:
    text = TARGETS.replace('package = "./cmd/app"', 'package = "./cmd/app", max_size = "1kB"')
    text = text.replace('binaries = ["app"]', 'binaries = ["app"]\nmax_size = "2kB"')
    project.write("targets.toml", text)
    project.commit("feat: budgets")
    project.git("tag", "v1.3.0")
    said = project.refused()
    assert "binary/app@linux/arm64 has" in said
    assert "image/app@linux/amd64 has" in said
    assert "max_size is" in said


def test_ci_gets_outputs_and_a_summary(made: Project, tmp_path: Path) -> None:
    output, summary = tmp_path / "output", tmp_path / "summary"
    made.release("--previous", "dist", GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(summary))
    lines = output.read_text().splitlines()
    artifacts = json.loads(lines[0].removeprefix("artifacts="))
    assert {item["type"] for item in artifacts} >= {"Archive", "Source", "Docker Manifest"}
    assert json.loads(lines[1].removeprefix("metadata="))["version"] == "1.2.3"
    assert lines[2] == "digests<<END_OF_DIGESTS"
    text = summary.read_text()
    assert "| tiny-1.2.3-tux-amd64.zip | linux/amd64 |" in text
    assert "Sizes are compared with 1.2.3." in text
    assert "| binary/app | linux/amd64 | cached |" in text
    assert {"%", "new"}.isdisjoint(text.split())


def test_a_dry_run_shows_the_plan_and_makes_nothing(project: Project) -> None:
    shutil.rmtree(project.dist)
    done = project.invoke("release", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "layout/app" in done.stdout
    assert not project.dist.exists()


def test_parts_from_several_machines_merge_into_the_same_bytes(
    made: Project, tmp_path: Path
) -> None:
    parts = []
    for number in (1, 2):
        machine = Project.__new__(Project)
        machine.root, machine.place = tmp_path / f"m{number}", tmp_path / f"m{number}" / "clone"
        subprocess.run(["git", "clone", "-q", made.place, machine.place], check=True)
        machine.release("--shard", f"{number}/2")
        parts.append(machine.dist)
    done = made.invoke("merge", ",".join(map(str, parts)), "--dist", str(tmp_path / "dist"))
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "dist") == files(made.dist)
