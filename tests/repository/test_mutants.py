"""The mutants still fit the code, so that `python -m tests.mutants` can apply them."""

import pytest

from tests.mutants.mutant import ROOT, Mutant, every

MUTANTS = {mutant.name: mutant for mutant in every()}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_mutant_changes_one_line_of_code_that_tests_reach(mutant: Mutant) -> None:
    assert (ROOT / mutant.path).read_text(encoding="utf-8").count(mutant.before) == 1
    assert mutant.after != mutant.before
    assert [name for name in mutant.tests if not (ROOT / name).exists()] == []


def test_there_are_thirty() -> None:
    assert len(MUTANTS) >= 30
