"""One comparison and how it came out."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from buildkit.errors import VerificationError


class Check(Struct, frozen=True, kw_only=True):
    """What was compared, of what, and what is wrong; ``problem`` is empty where all is well."""

    subject: str
    compared: str
    problem: str = ""

    @property
    def state(self) -> str:
        """``ok`` or ``problem``."""
        return "problem" if self.problem else "ok"


def compare(subject: str, what: str, found: object, expected: object) -> Check:
    """Compare two values, which are both told."""
    if found == expected:
        return Check(subject=subject, compared=f"{what} is {expected}")
    problem = f"it is {found or 'nothing'}, expected {expected or 'nothing'}"
    return Check(subject=subject, compared=what, problem=problem)


def judge(subject: str, checks: Iterable[Check]) -> None:
    """End with one error for all that is wrong.

    Raises:
        VerificationError: something is.
    """
    wrong = [check for check in checks if check.problem]
    if wrong:
        several = f"{len(wrong)} checks fail" if len(wrong) > 1 else "a check fails"
        raise VerificationError(
            f"{subject} is not what it should be: {several}",
            details="\n".join(f"{item.subject}: {item.compared}: {item.problem}" for item in wrong),
            resolution="Do not use it. Get it again from where it was published; if it is the same "
            "there, tell those who released it.",
        )
