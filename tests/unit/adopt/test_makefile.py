from __future__ import annotations

from buildkit.adopt.makefile import expand, read_variables, words

TEXT = """\
A := one \\
  two
export B ?= $(A) three # why
B ?= never
C = x
C += y
D ::= $(shell date)
all: ; echo
\tE = not a variable
LOOP = $(LOOP)
"""


def test_assignments_are_read_as_make_does() -> None:
    found = read_variables(TEXT)
    assert found["A"].split() == ["one", "two"]
    assert found["B"] == "$(A) three"
    assert found["C"] == "x y"
    assert "E" not in found


def test_references_are_put_in_and_calls_stay() -> None:
    found = read_variables(TEXT)
    assert words("B", found) == ("one", "two", "three")
    assert expand("$(D) ${UNKNOWN}", found) == "$(shell date) ${UNKNOWN}"
    assert words("MISSING", found) == ()
    assert expand("$(LOOP)", found) == "$(LOOP)"
