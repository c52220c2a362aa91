"""The runbook holds what there is: a row for each alarm and each check, and commands that exist."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from deploy import rotation, stacks
from deploy.cfn import template
from deploy.doctor import alarms, checks
from deploy.service import Service

ROOT = Path(__file__).parents[1]
RUNBOOK = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")


def first_column(heading: str) -> list[str]:
    """Return the code in the first column of the tables of a section."""
    section = RUNBOOK.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_each_alarm_of_the_templates_has_its_row() -> None:
    assert sorted(first_column("Alarms")) == alarms.expected(Service("objdet"))


def test_each_check_of_the_doctor_has_its_row_in_the_order_of_the_report() -> None:
    assert first_column("When something is wrong") == list(checks.CHECKS)


def test_each_secret_that_can_be_rotated_has_its_row() -> None:
    assert first_column("Rotate") == [*rotation.DRAWN, rotation.TOKEN]


def test_each_command_that_is_named_exists() -> None:
    named = set(re.findall(r"manage\.py (\w+)", RUNBOOK))
    assert named - set(get_commands()) == set()
    assert {"provision", "teardown", "doctor", "rotate"} <= named


def test_each_parameter_that_is_named_is_one_of_a_template() -> None:
    named = set(re.findall(r"--parameter (\w+)=", RUNBOOK)) - {"NAME"}
    known = {name for part in stacks.ORDER for name in template.read(stacks.TEMPLATES / f"{part}.yaml").parameters}
    assert named - known == set()


@pytest.mark.parametrize("page", ["README.md", "deploy/README.md"])
def test_the_picture_and_every_other_file_that_is_linked_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r'(?:\]\(|src=")(?!https?:|#)([^)"#]+)', text)
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
    assert any(link.endswith("architecture.svg") for link in links)


def test_each_place_in_the_runbook_that_is_linked_is_there() -> None:
    headings = {
        re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in re.findall(r"^#+ (.+)$", RUNBOOK, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) - headings == set()
