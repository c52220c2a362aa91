"""The picture of the architecture shows every template and every role."""

import re
from pathlib import Path

import pytest

from deploy import stacks
from deploy.cfn import template

PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
PICTURE = PAGE.partition("```mermaid\n")[2].partition("```")[0]


def test_every_template_is_a_box() -> None:
    drawn = re.findall(r"subgraph (\w+\.yaml)", PICTURE)
    assert sorted(drawn) == sorted(file.name for file in stacks.TEMPLATES.glob("*.yaml"))


@pytest.mark.parametrize("part", stacks.order())
def test_every_role_is_in_its_templates_box(part: str) -> None:
    resources = template.read(stacks.TEMPLATES / f"{part}.yaml").all_resources
    roles = {name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"}
    box = re.split(r"subgraph |\n\s+end\n", PICTURE.partition(f"subgraph {part}.yaml")[2])[0]
    assert set(re.findall(r"\w+Role\b", box)) == roles
