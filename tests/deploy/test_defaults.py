"""A default that several files have to state is the same in all of them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from botsite import celery, rate_limit
from deploy import stacks
from deploy.cfn import template
from deploy.provision import target
from metrics import policy
from metrics.machine_types import TYPES
from metrics.simulator.scenario import Machine, Scenario

ROOT = Path(__file__).parents[2]
SCENARIO, POLICIES = Scenario(np.zeros(0)), policy.shipped(1)
EXAMPLE = dict(
    line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if re.match("[A-Z]", line)
)
PAGES = (ROOT / "README.md", *(ROOT / "deploy").glob("*.md"), *(ROOT / "docs").glob("*.md"))
DOCS = {path: path.read_text() for path in PAGES}
# Chosen by the environment: the example shows what one would write.
CHOSEN = {"AWS_REGION": "us-east-1"}


def in_settings() -> dict[str, object]:
    """Return the default of each setting that is written as a literal, by its name."""
    tree = ast.parse((ROOT / "botsite" / "settings.py").read_text())
    found: dict[str, object] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Attribute(ast.Name("env")), [ast.Constant(str(name))], [ast.keyword("default", default)]):
                found |= {name: ast.literal_eval(default)} if isinstance(default, ast.Constant | ast.List) else {}
    return found


def in_templates(parameter: str) -> dict[str, object]:
    """Return the default of a parameter in each template that has it."""
    every = {part: template.read(stacks.TEMPLATES / f"{part}.yaml").parameters for part in stacks.order()}
    return {f"{part}.yaml": one[parameter]["Default"] for part, one in every.items() if parameter in one}


def in_docs(name: str) -> Iterator[tuple[str, object]]:
    """Yield what pages say of a setting or parameter: "`MaxWorkers` (4)", "`KeptDays`, 30)", "10 minutes (`NAME`)"."""
    for path, text in DOCS.items():
        yield from ((path.name, found) for found in re.findall(rf"`{name}`(?: \(|, )(\d+)\)", text))
        yield from ((path.name, int(found) * 60) for found in re.findall(rf"(\d+) minutes \(`{name}`\)", text))


def plain(value: object) -> object:
    """Return a default as it is compared: numbers as such, switches as true or false."""
    text = str(value).lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    return {"on": "true", "off": "false", "[]": "", "none": ""}.get(text, text)


@pytest.mark.parametrize("name", sorted(in_settings().keys() - CHOSEN))
def test_example_has_default_of_settings(name: str) -> None:
    assert plain(EXAMPLE[name]) == plain(in_settings()[name])


@pytest.mark.parametrize(
    ("setting", "parameter", "elsewhere"),
    [
        ("KEEP_WARM_SECONDS", "KeepWarmSeconds", [SCENARIO.keep_warm_seconds]),
        ("PREDICTIONS_KEPT_DAYS", "KeptDays", []),
        ("METRIC_NAMESPACE", "MetricNamespace", []),
        ("LATENCY_GOAL_SECONDS", "LatencyGoalSeconds", []),
        ("METRIC_PERIOD_SECONDS", "MetricSeconds", [SCENARIO.publish_seconds, POLICIES.tracking[0].period]),
        ("ACKNOWLEDGE", "Acknowledge", []),
        ("READ_TEXT", "ReadText", []),
        ("BOT_LANGUAGES", "BotLanguages", []),
        ("ALLOWED_USERS", "AllowedUsers", []),
        ("DENIED_USERS", "DeniedUsers", []),
        ("STORAGE_CHAT", "StorageChat", []),
        ("PHOTOS_PER_SECOND", "", [target.UNKNOWN, Machine().photos_per_second]),
        ("", "MaxWorkers", [SCENARIO.maximum]),
        ("", "WarmMachines", [SCENARIO.warm_pool]),
        ("", "WarmupSeconds", [POLICIES.warmup]),
        ("", "WorkerType", [Machine().kind.name]),
        ("", "WorkerPhotosPerSecond", [TYPES["t3.micro"].photos_per_second]),
        ("", "JobsVisibilitySeconds", [celery.configuration()["broker_transport_options"]["sqs"].visibility_timeout]),
    ],
)
def test_default_is_the_same_everywhere(setting: str, parameter: str, elsewhere: list[object]) -> None:
    found: list[tuple[str, object]] = [("here", each) for each in elsewhere]
    found += [("settings", in_settings()[setting])] if setting else []
    found += [*in_templates(parameter).items()] if parameter else []
    found += [one for name in (setting, parameter) if name for one in in_docs(name)]
    assert len(found) > 1
    assert len({plain(value) for _, value in found}) == 1, found


def test_no_limit_by_default() -> None:
    names = {"PHOTOS_PER_MINUTE": "PhotosPerMinute", "PHOTOS_PER_DAY": "PhotosPerDay"}
    for setting, parameter in names.items():
        # Both an empty setting and 0 are no limit.
        assert (in_settings()[setting], in_templates(parameter)) == ("", {"web.yaml": 0})


def test_steps_follow_from_goal_and_speed() -> None:
    [goal] = in_templates("LatencyGoalSeconds").values()
    [photos] = in_templates("WorkerPhotosPerSecond").values()
    steps = ",".join(str(int(str(goal)) * int(str(photos)) * number) for number in range(1, policy.STEPS))
    assert set(in_templates("BacklogSteps").values()) == {steps}


def test_simulator_sends_as_the_bot_may() -> None:
    assert SCENARIO.sends_per_second == pytest.approx(1 / rate_limit.BOT.interval_seconds)


def test_runbook_says_when_jobs_wait_too_long() -> None:
    runbook = (ROOT / "deploy" / "operating.md").read_text()
    said = re.findall(r"(?:waited for more than|rings after) (\d+) minutes", runbook)
    assert {int(minutes) * 60 for minutes in said} == {*in_templates("OldestJobSeconds").values()}
    assert len(said) == 2


@pytest.mark.parametrize(
    "name",
    ["KEEP_WARM_SECONDS", "KeepWarmSeconds", "KeptDays", "LATENCY_GOAL_SECONDS", "LatencyGoalSeconds", "MaxWorkers"],
)
def test_pages_state_a_default(name: str) -> None:
    assert [*in_docs(name)] != []
