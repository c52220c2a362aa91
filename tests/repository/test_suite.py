"""What only `make test-all` runs has somebody in `make test` who looks at the same, and neither runs a test twice."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py")}
SLOW = [name for name, text in FILES.items() if re.search(r"^pytestmark = .*mark\.slow", text, re.M)]


def marks(node: ast.FunctionDef) -> set[str]:
    """Return the names of a test's marks."""
    return {each.attr for mark in node.decorator_list for each in ast.walk(mark) if isinstance(each, ast.Attribute)}


def quick(name: str) -> Iterator[str]:
    """Return the tests of a file that `make test` runs."""
    nodes = [node for node in ast.parse(FILES[name]).body if isinstance(node, ast.FunctionDef)]
    for node in nodes:
        skipped = name in SLOW or "slow" in marks(node)
        if node.name.startswith("test_") and ("smoke" in marks(node) or not skipped):
            yield node.name


def test_slow_files_are_known() -> None:
    assert "tests/local/test_demo_groups.py" in SLOW


@pytest.mark.parametrize("name", [name for name, text in FILES.items() if "mark.slow" in text])
def test_slow_file_has_quick_test(name: str) -> None:
    """Of its own, or in the file that its mark names."""
    other = re.search(r"^pytestmark = .*mark\.slow\(quick=\"(.+?)\"\)", FILES[name], re.M)
    assert list(quick(other[1] if other else name))


def test_all_tests_are_run_once() -> None:
    selections = re.findall(r"pytest .*-m '(.+)'", (ROOT / "Makefile").read_text(encoding="utf-8"))
    for slow in (False, True):
        for smoke in (False, True):
            runs = [eval(each, {"slow": slow, "smoke": smoke}) for each in selections]  # noqa: S307
            assert runs.count(True) == 1


def test_ci_runs_everything_once() -> None:
    assert re.findall(r"^make .*", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.M) == ["make test-all"]
