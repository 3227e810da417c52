from __future__ import annotations

from buildkit.release.changelog import changelog
from buildkit.vcs import Change


def change(subject: str, body: str = "") -> Change:
    return Change(revision="0123456789abcdef", subject=subject, text=f"{subject}\n\n{body}")


def test_conventional_commits_stand_under_headings() -> None:
    text = changelog(
        "1.3.0",
        "v1.2.0",
        [
            change("feat(pilot): xDS over ADS"),
            change("fix: a leak"),
            change("chore: tidy"),
            change("Merge nothing in particular"),
            change("feat!: another default"),
            change("fix: a name", "BREAKING CHANGE: it is another"),
        ],
    )
    assert text.splitlines() == [
        "# 1.3.0",
        "",
        "Changes since v1.2.0.",
        "",
        "## Breaking changes",
        "",
        "- another default (0123456789ab)",
        "- a name (0123456789ab)",
        "",
        "## Features",
        "",
        "- **pilot**: xDS over ADS (0123456789ab)",
        "",
        "## Fixes",
        "",
        "- a leak (0123456789ab)",
        "",
        "## Other changes",
        "",
        "- tidy (0123456789ab)",
        "- Merge nothing in particular (0123456789ab)",
    ]


def test_a_history_of_plain_words_is_a_plain_list() -> None:
    text = changelog("1.0.1", "1.0.0", [change("Correct a leak"), change("Say more")])
    assert "##" not in text
    assert text.endswith("\n- Correct a leak (0123456789ab)\n- Say more (0123456789ab)\n")


def test_nothing_since_the_tag_is_said() -> None:
    assert changelog("1.0.1", "1.0.0", []).endswith("No commit since then.\n")


def test_the_first_release_names_the_newest_hundred() -> None:
    text = changelog("1.0.0", "", [change(f"commit {number}") for number in range(130)])
    assert "The first release." in text
    assert "commit 99 (" in text
    assert "commit 100 (" not in text
    assert text.endswith("\nAnd 30 earlier commits.\n")
