"""A GitHub release: a draft, its files, then the release; against a fake in this process."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import PublishError
from buildkit.http import HttpPool
from buildkit.publish.cargo import Cargo, CargoFile
from buildkit.publish.destination import Published, State, publish
from buildkit.publish.github import GitHubRelease, asset_name
from buildkit.publish.github_api import GitHub
from buildkit.publish.journal import Journal
from tests.fakes.github import FakeGitHub
from tests.fakes.mortal import Death
from tests.unit.publish.conftest import CONTENT

NewJournal = Callable[[], Journal]
REQUESTS = 13
"""How many a whole publish of three files takes."""


@pytest.fixture
def server() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def github(server: FakeGitHub, pool: HttpPool, pauses: list[float]) -> GitHub:
    return GitHub(
        pool=pool,
        api=server.url,
        repository="team/mesh",
        token=server.token,
        clock=lambda: 1000.0,
        sleep=pauses.append,
    )


def run(
    cargo: Cargo, github: GitHub, journal: Journal, *, keep_draft: bool = False
) -> tuple[Published, ...]:
    place = GitHubRelease(
        name="github", cargo=cargo, github=github, journal=journal, keep_draft=keep_draft
    )
    return publish([place], lambda _name, _text: None)


def test_a_release_is_a_draft_until_all_its_files_are_there(
    server: FakeGitHub, github: GitHub, cargo: Cargo, new_journal: NewJournal
) -> None:
    run(cargo, github, new_journal())
    (release,) = server.releases
    assert (release["tag_name"], release["draft"], release["body"]) == (
        "v1.0.0",
        False,
        "## Changes",
    )
    assert server.tags == {"v1.0.0": cargo.revision}
    assert server.files() == CONTENT
    assert server.asked[-3].startswith("PATCH ")
    assert len(server.asked) == REQUESTS


def test_a_rerun_changes_nothing(
    server: FakeGitHub, github: GitHub, cargo: Cargo, new_journal: NewJournal
) -> None:
    run(cargo, github, new_journal())
    server.asked.clear()
    (found,) = run(cargo, github, new_journal())
    assert {item.state for item in found.before} == {State.SAME}
    assert {asked.split()[0] for asked in server.asked} == {"GET"}


def test_a_draft_may_be_left_to_a_person(
    server: FakeGitHub, github: GitHub, cargo: Cargo, new_journal: NewJournal
) -> None:
    run(cargo, github, new_journal(), keep_draft=True)
    assert server.releases[0]["draft"]
    assert server.files() == CONTENT
    run(cargo, github, new_journal())
    assert [release["draft"] for release in server.releases] == [False]


@pytest.mark.parametrize("end", list(itertools.product(range(REQUESTS), Death)), ids=str)
def test_a_server_that_dies_at_any_request_is_no_loss(
    server: FakeGitHub,
    github: GitHub,
    cargo: Cargo,
    new_journal: NewJournal,
    end: tuple[int, Death],
) -> None:
    server.die_at(*end)
    with pytest.raises(PublishError):
        run(cargo, github, new_journal())
    published = [release for release in server.releases if not release["draft"]]
    assert not published or server.files() == CONTENT
    server.revive()
    run(cargo, github, new_journal())
    assert [release["draft"] for release in server.releases] == [False]
    assert server.files() == CONTENT


@pytest.mark.parametrize("tells_digests", [True, False])
def test_a_file_of_another_content_is_refused_and_nothing_is_written(
    server: FakeGitHub,
    github: GitHub,
    cargo: Cargo,
    new_journal: NewJournal,
    tells_digests: bool,
) -> None:
    server.tells_digests = tells_digests
    release = server.add_release({"tag_name": "v1.0.0", "draft": True})
    server.add_asset(release["id"], "mesh.json", b"[]")
    with pytest.raises(PublishError, match="different") as found:
        run(cargo, github, new_journal())
    assert str(Digest.of_bytes(b"[]")) in found.value.details
    assert server.files() == {"mesh.json": b"[]"}
    assert server.releases[0]["draft"]


def test_a_tag_of_another_commit_is_refused(
    server: FakeGitHub, github: GitHub, cargo: Cargo, new_journal: NewJournal
) -> None:
    server.tags["v1.0.0"] = "d" * 40
    with pytest.raises(PublishError, match="different") as found:
        run(cargo, github, new_journal())
    assert "d" * 40 in found.value.details
    assert server.releases == []


def test_several_drafts_of_a_tag_are_for_a_person_to_sort_out(
    server: FakeGitHub, github: GitHub, cargo: Cargo, new_journal: NewJournal
) -> None:
    for _ in range(2):
        server.add_release({"tag_name": "v1.0.0", "draft": True})
    with pytest.raises(PublishError, match=r"2 releases of v1\.0\.0"):
        run(cargo, github, new_journal())


def test_what_a_browser_left_half_uploaded_is_replaced(
    server: FakeGitHub, github: GitHub, cargo: Cargo, new_journal: NewJournal
) -> None:
    release = server.add_release({"tag_name": "v1.0.0", "draft": True, "target_commitish": "c"})
    server.add_asset(release["id"], "mesh.json", b"{", state="starter")
    run(cargo, github, new_journal())
    assert server.files() == CONTENT


def test_a_rate_limit_that_ends_soon_is_waited_for(
    server: FakeGitHub,
    github: GitHub,
    cargo: Cargo,
    new_journal: NewJournal,
    pauses: list[float],
) -> None:
    server.limits = [{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1030"}]
    run(cargo, github, new_journal())
    server.limits = [{"Retry-After": "7"}]
    run(cargo, github, new_journal())
    assert pauses == [30.0, 7.0]
    assert server.files() == CONTENT


def test_a_rate_limit_that_lasts_is_told(
    server: FakeGitHub, github: GitHub, cargo: Cargo, new_journal: NewJournal
) -> None:
    server.limits = [{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4600"}]
    with pytest.raises(PublishError, match="used up for 3600 s more"):
        run(cargo, github, new_journal())


def test_a_wrong_token_is_named_and_never_shown(
    github: GitHub, cargo: Cargo, new_journal: NewJournal
) -> None:
    wrong = dataclasses.replace(github, token="ghp_wrong")
    with pytest.raises(PublishError, match="GitHub answers 401") as found:
        run(cargo, wrong, new_journal())
    assert "contents: write" in found.value.resolution
    assert "ghp_wrong" not in str(found.value) + repr(wrong)


def test_names_are_those_that_github_gives() -> None:
    assert asset_name("mesh_1.0.0~rc1_amd64.deb") == "mesh_1.0.0.rc1_amd64.deb"


def test_two_names_that_github_would_make_one_are_refused(
    server: FakeGitHub, github: GitHub, cargo: Cargo, new_journal: NewJournal
) -> None:
    first = cargo.files[0]
    twins: tuple[CargoFile, ...] = (replace(first, name="a~b"), replace(first, name="a.b"))
    with pytest.raises(PublishError, match=r"a~b and a\.b"):
        run(replace(cargo, files=twins), github, new_journal())
    assert server.files() == {}
