"""The picture of the architecture is drawn from the templates, and from nothing that they do not hold."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from deploy import architecture, diagram, stacks
from deploy.architecture import UnknownToThePicture
from deploy.cfn import template

TEXTS = {part: template.read(stacks.TEMPLATES / f"{part}.yaml") for part in stacks.ORDER}
SVG = "{http://www.w3.org/2000/svg}"


def with_resource(part: str, **resources: Mapping[str, Any]) -> architecture.Architecture:
    """Return the architecture with more resources in one of its templates."""
    more = replace(TEXTS[part], all_resources={**TEXTS[part].all_resources, **resources})
    return architecture.read({**TEXTS, part: more})


def _root() -> ElementTree.Element:
    return ElementTree.parse(diagram.PICTURE).getroot()  # noqa: S314  # our own


def test_the_committed_picture_is_that_of_the_templates() -> None:
    drawn = diagram.draw(architecture.read())
    assert diagram.PICTURE.read_text(encoding="utf-8") == drawn, "Run: python -m deploy.diagram"


def test_the_picture_is_small_and_its_text_is_text_that_names_every_resource() -> None:
    texts = [one.text or "" for one in _root().iter(f"{SVG}text")]
    words = set(" ".join(texts).replace(",", " ").split())
    assert {name for text in TEXTS.values() for name in text.all_resources} - words == set()
    assert diagram.PICTURE.stat().st_size < 60_000


def test_the_picture_has_colours_for_dark_and_for_light_and_loads_nothing() -> None:
    text = diagram.PICTURE.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert text.count("http") == text.count("http://www.w3.org/2000/svg") == 1


def test_no_box_is_over_another_and_all_are_on_the_paper() -> None:
    root = _root()
    right, bottom = map(int, root.attrib["viewBox"].split()[2:])
    boxes = [one.attrib for one in root.iter(f"{SVG}rect") if one.attrib["class"] == "box"]
    places = [[int(one[name]) for name in ("x", "y", "width", "height")] for one in boxes]
    assert [one for one in places if one[0] + one[2] > right or one[1] + one[3] > bottom] == []
    ends = sorted((x, y, y + height) for x, y, _, height in places)
    assert [two for one, two in pairwise(ends) if one[0] == two[0] and one[2] >= two[1]] == []


def test_the_first_column_is_what_stands_in_the_network() -> None:
    assert diagram.within_network(architecture.read()) == set(diagram.COLUMNS[0])


def test_a_role_does_to_others_what_its_policy_says() -> None:
    does = {(one.source, name): one.does for one in diagram.edges(architecture.read()) for name in one.on}
    assert does["metrics", "JobsQueue"] == "GetQueueAttributes, SendMessage"
    assert does["metrics", "JobsDlq"] == "ChangeMessageVisibility, ReceiveMessage"
    assert does["yolo5", "PredictionsTable"] == "GetItem, UpdateItem"


def test_a_type_that_the_picture_does_not_know_is_refused() -> None:
    found = with_resource("queue", JobsQueue={"Type": "AWS::Kinesis::Stream"})
    with pytest.raises(UnknownToThePicture, match="no word for AWS::Kinesis::Stream"):
        diagram.draw(found)


def test_a_resource_that_has_no_box_is_refused() -> None:
    found = with_resource("queue", Somewhere={"Type": "AWS::SQS::Queue"})
    with pytest.raises(UnknownToThePicture, match="no box for Somewhere"):
        diagram.draw(found)


def test_a_reference_that_the_picture_does_not_know_is_refused() -> None:
    name = {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-queue-JobsQueueName"}}
    found = with_resource("web", TargetGroup={"Type": "AWS::SQS::Queue", "Properties": {"Name": name}})
    with pytest.raises(UnknownToThePicture, match="balancer refers to jobs"):
        diagram.draw(found)


def test_a_line_that_no_template_has_is_refused() -> None:
    without = replace(architecture.read(), references=())
    with pytest.raises(UnknownToThePicture, match="lines that no template has"):
        diagram.draw(without)
