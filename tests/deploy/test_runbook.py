"""The runbook has a row for each alarm, check and secret, and names only parameters that exist."""

import re
from pathlib import Path

from deploy import rotation, stacks
from deploy.cfn import template
from deploy.doctor import checks, signals
from deploy.service import Service

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / "deploy" / name).read_text(encoding="utf-8") for name in ("README.md", "operating.md")}


def first_column(heading: str) -> list[str]:
    """Return the code in the first column of the tables of a section."""
    section = PAGES["operating.md"].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_every_alarm_has_its_row() -> None:
    assert sorted(first_column("Alarms")) == signals.expected_alarms(Service("objdet"))


def test_checks_have_rows_in_order_of_report() -> None:
    assert first_column("When something is wrong") == [*checks.CHECKS, "drift"]


def test_every_secret_has_its_row() -> None:
    assert first_column("Rotate") == [*rotation.DRAWN, rotation.TOKEN]


def test_named_parameters_exist() -> None:
    named = set(re.findall(r"--parameter (\w+)=", "".join(PAGES.values()))) - {"NAME"}
    known = {name for part in stacks.order() for name in template.read(stacks.TEMPLATES / f"{part}.yaml").parameters}
    assert named - known == set()
