"""`scale` holds workers for a while: AWS sets it back by itself, and nobody takes it for a change by hand."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError

from botsite import aws
from deploy import provision, stacks
from deploy.cfn import hold
from deploy.service import Service
from metrics import cloudwatch
from metrics.cloudwatch import Group
from tests.support import emulators
from tests.support.provisioning import look, run

PREFIX = "held"
GROUP = f"{PREFIX}-yolo5"
IN_FORCE = ("--min", "2", "--for", "2h")


@pytest.fixture(scope="module")
def cloud() -> Iterator[None]:
    """Given a deployed service."""
    with emulators.ministack():
        provision.deploy(Service(PREFIX))
        yield


@pytest.fixture(autouse=True)
def free(cloud: None) -> Iterator[None]:
    """Leave nothing held."""
    yield
    hold.end(GROUP)
    resize(MinSize=0, MaxSize=4)


def group() -> Group:
    return cloudwatch.groups(GROUP)[GROUP]


def resize(**sizes: int) -> None:
    aws.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=GROUP, **sizes)


def actions() -> list[dict[str, Any]]:
    """Return the scheduled actions of the group."""
    answer = aws.client("autoscaling").describe_scheduled_actions(AutoScalingGroupName=GROUP)
    return list(answer["ScheduledUpdateGroupActions"])


def scale(*arguments: str) -> str:
    return run("scale", "--prefix", PREFIX, *arguments)


def test_minimum_is_raised_and_scheduled_back() -> None:
    said = scale(*IN_FORCE)
    [action] = actions()
    assert (group().minimum, action["MinSize"]) == (2, 0)
    assert "MaxSize" not in action
    assert abs(action["StartTime"] - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
    assert f"{GROUP} is held at 2 by root until " in said
    assert "then its minimum is 0 again" in said
    assert "an hour" in said


def test_way_back_comes_first() -> None:
    calls: list[str] = []
    events = aws.client("autoscaling").meta.events
    events.register("before-call.autoscaling", lambda model, **_: calls.append(model.name), unique_id="order")
    scale(*IN_FORCE)
    events.unregister("before-call.autoscaling", unique_id="order")
    assert [one for one in calls if not one.startswith("Describe")] == [
        "PutScheduledUpdateGroupAction",
        "UpdateAutoScalingGroup",
    ]


def test_interruption_leaves_only_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(hold, "_set", interrupted)
    with pytest.raises(CommandError, match="status"):
        scale(*IN_FORCE)
    monkeypatch.undo()
    assert (group().minimum, len(actions())) == (0, 1)


def test_later_hold_takes_the_place_of_the_first() -> None:
    scale(*IN_FORCE)
    scale("--min", "3", "--for", "30m")
    [action] = actions()
    assert (group().minimum, action["MinSize"]) == (3, 0)
    assert action["StartTime"] < datetime.now(UTC) + timedelta(hours=1)
    scale("--min", "1", "--for", "1d")
    assert (group().minimum, [one["MinSize"] for one in actions()]) == (1, [0])


def test_off_sets_it_back_now() -> None:
    scale(*IN_FORCE)
    assert "its minimum is 0 again" in scale("--off")
    assert (group().minimum, actions()) == (0, [])
    assert scale("--off") == "No workers were held.\n"


def test_json_says_the_same() -> None:
    begun = json.loads(scale(*IN_FORCE, "--json"))
    assert (begun["minimum"], begun["before"], begun["by"]) == (2, 0, "root")
    assert begun["dollars_an_hour"] > 0.02
    assert json.loads(scale("--off", "--json"))["was"]["minimum"] == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--min", "5", "--for", "2h"), "--min 5 is above MaxWorkers, which is 4"),
        (("--min", "2"), "Give --min N and --for TIME together, or --off"),
        (("--for", "2h"), "Give --min N and --for TIME together, or --off"),
        ((*IN_FORCE, "--off"), "Give --min N and --for TIME together, or --off"),
        ((), "Give --min N and --for TIME together, or --off"),
        (("--min", "0", "--for", "2h"), "'0' is not a number of workers"),
        (("--min", "2", "--for", "2"), "'2' is no time from 1m to 7d"),
        (("--min", "2", "--for", "8d"), "'8d' is no time from 1m to 7d"),
    ],
)
def test_impossible_wish_changes_nothing(arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        scale(*arguments)
    assert (group().minimum, actions()) == (0, [])


def test_nothing_is_held_without_a_way_back() -> None:
    """The emulator suspends no processes: its answer is completed as the API reference of SuspendedProcess has it."""

    def suspended(parsed: dict[str, Any], **_: object) -> None:
        reason = {"ProcessName": "ScheduledActions", "SuspensionReason": "User suspended at 2026-11-26T09:00:00Z"}
        parsed["AutoScalingGroups"][0]["SuspendedProcesses"] = [reason]

    events, call = aws.client("autoscaling").meta.events, "after-call.auto-scaling.DescribeAutoScalingGroups"
    events.register(call, suspended, unique_id="suspended")
    try:
        with pytest.raises(CommandError, match="would not be set back"):
            scale(*IN_FORCE)
    finally:
        events.unregister(call, unique_id="suspended")
    assert (group().minimum, actions()) == (0, [])


def test_plan_and_status_name_it() -> None:
    assert "held at" not in run("provision", "--prefix", PREFIX, "--plan")
    scale(*IN_FORCE)
    assert f"{GROUP}, held at 2 by root until " in run("provision", "--prefix", PREFIX, "--plan")
    assert "  held at 2 by root until " in look("status", "--prefix", PREFIX)
    found = json.loads(look("status", "--prefix", PREFIX, "--json"))
    assert found["machines"]["yolo5"]["held"]["minimum"] == 2


def drift() -> list[str]:
    """Return the differences that CloudFormation finds.

    The emulator doesn't compare groups: its answer is completed as the API reference of StackResourceDrift has it.
    """

    def compared(parsed: dict[str, Any], **_: object) -> None:
        minimum, found = group().minimum, parsed["StackResourceDrifts"]
        if any(one["LogicalResourceId"] == "Yolo5Logs" for one in found):
            sizes = {"MinSize": str(minimum), "MaxSize": str(group().maximum)}
            of_minimum = {"PropertyPath": "/MinSize", "ExpectedValue": "0", "ActualValue": str(minimum)}
            one = {
                "LogicalResourceId": "Yolo5Group",
                "PhysicalResourceId": GROUP,
                "ResourceType": "AWS::AutoScaling::AutoScalingGroup",
                "ExpectedProperties": json.dumps({**sizes, "MinSize": "0"}),
                "ActualProperties": json.dumps(sizes),
                "PropertyDifferences": [{**of_minimum, "DifferenceType": "NOT_EQUAL"}] if minimum else [],
                "StackResourceDriftStatus": "MODIFIED" if minimum else "IN_SYNC",
            }
            found.append(one)

    events, call = aws.client("cloudformation").meta.events, "after-call.cloudformation.DescribeStackResourceDrifts"
    events.register(call, compared, unique_id="compared")
    try:
        return stacks.find_drift(Service(PREFIX)).differences
    finally:
        events.unregister(call, unique_id="compared")


def differs(minimum: int) -> list[str]:
    where = f"{PREFIX}-workers Yolo5Group (AWS::AutoScaling::AutoScalingGroup) MinSize"
    return [f"{where}: 0 in the template, {minimum} live"]


@pytest.mark.slow
def test_hold_is_no_drift_but_another_minimum_is() -> None:
    scale(*IN_FORCE)
    assert drift() == []
    resize(MinSize=3)
    assert drift() == differs(3)


@pytest.mark.slow
def test_deployment_keeps_it() -> None:
    scale(*IN_FORCE)
    said: list[str] = []
    # CloudFormation sets all properties of a group that it changes.
    resize(MinSize=0)
    provision.deploy(Service(PREFIX), {"MaxWorkers": "3"}, say=said.append)
    assert (group().minimum, group().maximum) == (2, 3)
    assert any(f"{GROUP} stays held at 2 by root" in one for one in said)
    provision.deploy(Service(PREFIX), {"MaxWorkers": "1"})
    assert (group().minimum, drift()) == (1, [])
    provision.deploy(Service(PREFIX), {"MaxWorkers": "4"})
    assert group().minimum == 2


def test_past_hold_holds_nothing() -> None:
    scale(*IN_FORCE)
    [action] = actions()
    over = datetime.now(UTC) - timedelta(minutes=10)
    where = {key: action[key] for key in ("AutoScalingGroupName", "ScheduledActionName", "MinSize")}
    aws.client("autoscaling").put_scheduled_update_group_action(**where, StartTime=over)
    assert hold.read(GROUP) is None
    assert drift() == differs(2)
