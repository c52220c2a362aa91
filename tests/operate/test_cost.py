"""`cost` multiplies the machine-hours of the month by list prices, or asks Cost Explorer."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from botsite.roles import METRIC_STREAMER
from deploy import provision
from deploy.operate import cost, hours
from deploy.operate.hours import Activity
from deploy.service import Service
from metrics import machine_types
from tests.support import emulators, operating, recorded

NOW = datetime.now(UTC)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)
AT_NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BEGUN, ENDED = Activity(True, "i-0d4442", MONTH), Activity(False, "i-0d4442", AT_NOON)
SERVICE = Service("costly")
# As in "Example 1" of `aws autoscaling describe-scaling-activities` in the AWS CLI's reference, in the query
# protocol's XML (API reference, DescribeScalingActivities); the times are this minute's.
ACTIVITIES = """<DescribeScalingActivitiesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
<DescribeScalingActivitiesResult><Activities><member>
<ActivityId>f9f2d65b-f1f2-43e7-b46d-d86756459699</ActivityId>
<AutoScalingGroupName>costly-yolo5</AutoScalingGroupName>
<Description>Launching a new EC2 instance: i-0d44425630326060f</Description>
<Cause>At 2020-10-30T19:36:07Z an instance was started in response to a difference between desired and actual
capacity, increasing the capacity from 0 to 16.</Cause>
<StartTime>{start}</StartTime><EndTime>{start}</EndTime><StatusCode>Successful</StatusCode><Progress>100</Progress>
</member></Activities></DescribeScalingActivitiesResult></DescribeScalingActivitiesResponse>"""
# As in "Example" of GetCostAndUsage in the AWS Billing and Cost Management API reference, by service.
BILL = {
    "GroupDefinitions": [{"Key": "SERVICE", "Type": "DIMENSION"}],
    "ResultsByTime": [
        {
            "Estimated": True,
            "TimePeriod": {"Start": "2026-11-01", "End": "2026-11-27"},
            "Total": {},
            "Groups": [
                {"Keys": [name], "Metrics": {"UnblendedCost": {"Amount": amount, "Unit": "USD"}}}
                for name, amount in (
                    ("Amazon Elastic Compute Cloud - Compute", "12.5000"),
                    ("Amazon Elastic Load Balancing", "16.43"),
                )
            ],
        }
    ],
}


def test_hours_count_from_launch_to_end() -> None:
    did = [Activity(True, "i-1", AT_NOON), Activity(False, "i-1", AT_NOON + timedelta(hours=3))]
    assert hours.total(did, (), MONTH, AT_NOON + timedelta(days=9)) == 3


def test_machine_of_a_pool_counts_each_time_it_runs() -> None:
    moments = (0, 1, 5, 7)
    did = [Activity(hour in (0, 5), "i-1", AT_NOON + timedelta(hours=hour)) for hour in moments]
    assert hours.total(did, (), MONTH, AT_NOON + timedelta(days=9)) == 3


def test_running_machine_counts_until_now() -> None:
    assert hours.total([Activity(True, "i-1", AT_NOON)], ["i-1"], MONTH, AT_NOON + timedelta(hours=2)) == 2


def test_machine_from_before_counts_from_the_first() -> None:
    ended = [Activity(False, "i-1", AT_NOON)]
    assert hours.total(ended, ["i-2"], MONTH, AT_NOON) == 36 + 36


@pytest.mark.parametrize(
    ("description", "status", "expected"),
    [
        ("Launching a new EC2 instance: i-0d4442", "Successful", [BEGUN]),
        ("Launching a new EC2 instance: i-0d4442", "InProgress", [BEGUN]),
        ("Launching a new EC2 instance from warm pool: i-0d4442", "Successful", [BEGUN]),
        ("Launching a new EC2 instance into warm pool: i-0d4442", "Successful", [BEGUN, ENDED]),
        ("Terminating EC2 instance: i-0d4442", "Successful", [ENDED]),
        ("Attaching an existing EC2 instance: i-0d4442", "Successful", [BEGUN]),
        ("Launching a new EC2 instance.  Status Reason: no capacity", "Failed", []),
        ("Launching a new EC2 instance: i-0d4442", "Cancelled", []),
        ("Updating load balancers/target groups: Successful.", "Successful", []),
    ],
)
def test_activities_are_read_by_their_words(description: str, status: str, expected: list[Activity]) -> None:
    """From "Scaling activities" in the EC2 Auto Scaling user guide."""
    times = {"StartTime": MONTH, "EndTime": AT_NOON}
    assert hours.parse({"Description": description, "StatusCode": status, **times}, AT_NOON) == expected


def test_unfinished_termination_counts_until_now() -> None:
    activity = {"Description": "Terminating EC2 instance: i-1", "StatusCode": "InProgress", "StartTime": MONTH}
    assert hours.parse(activity, AT_NOON) == [Activity(False, "i-1", AT_NOON)]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated AWS with a service on it."""
    with emulators.ministack() as url:
        provision.deploy(SERVICE)
        yield url


def env(endpoint: str) -> dict[str, str]:
    """Return an environment in which this is AWS and no emulator."""
    names = ("CLOUDFORMATION", "AUTO_SCALING", "COST_EXPLORER", "BUDGETS", "STS")
    return operating.environment("", **{f"AWS_ENDPOINT_URL_{name}": endpoint for name in names})


def test_estimate_has_machines_and_standing_costs(endpoint: str) -> None:
    text = ACTIVITIES.format(start=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
    with recorded.before(endpoint, {"Action=DescribeScalingActivities": ("text/xml", text)}) as (url, _):
        found = json.loads(operating.manage("cost", "--prefix", "costly", "--json", env=env(url)).stdout)
        shown = operating.manage("cost", "--prefix", "costly", env=env(url)).stdout
    lines = {line["what"]: line for line in found["lines"]}
    assert {"polybot", "yolo5", "metricStreamer", "load balancer", "secrets", "alarms"} <= lines.keys()
    assert "costly-polybot" not in lines
    # A month of both, as tests/deploy/test_costs.py has it.
    ratio = 730 * (0.0225 + 2 * 0.005) / (5 * 0.40)
    assert lines["load balancer"]["dollars"] == pytest.approx(ratio * lines["secrets"]["dollars"])
    assert found["dollars"] == pytest.approx(sum(line["dollars"] for line in found["lines"]), abs=1e-4)
    assert f"An estimate at list prices of us-east-1, {machine_types.AS_OF}" in shown


@pytest.mark.parametrize(("standby", "size"), [("off", 8), ("on", 16)])
def test_disk_of_metrics_machine_follows_standby(endpoint: str, standby: str, size: int) -> None:
    stack = SERVICE.stack("metrics")
    made = cost._made(SERVICE, "metrics", replace(stack, parameters={**stack.parameters, "StandbyWorker": standby}))
    assert cost._machines(METRIC_STREAMER, "t3.micro", 1, made).how.endswith(f" and {size} GB")


def test_bill_names_its_own_price(endpoint: str) -> None:
    answers = {"GetCostAndUsage": ("application/x-amz-json-1.1", json.dumps(BILL))}
    with recorded.before(endpoint, answers) as (url, asked):
        done = operating.manage("cost", "--billed", "--prefix", "costly", env=env(url))
    assert done.stderr == "Asking Cost Explorer, which costs $0.01.\n"
    assert "28.93" in done.stdout
    assert '"Tags": {"Key": "Project", "Values": ["costly"]}' in asked[0]


def test_empty_bill_explains_the_tag(endpoint: str) -> None:
    empty = json.dumps({"ResultsByTime": []})
    with recorded.before(endpoint, {"GetCostAndUsage": ("application/x-amz-json-1.1", empty)}) as (url, _):
        done = operating.manage("cost", "--billed", "--prefix", "costly", env=env(url))
    assert "Cost allocation tags" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--billed"]])
def test_emulator_is_not_known(endpoint: str, arguments: list[str]) -> None:
    done = operating.manage("cost", "--prefix", "costly", *arguments, env=operating.environment(endpoint))
    assert (done.returncode, done.stdout[:15]) == (0, "Not known here:")


def test_budget_is_next_to_the_estimate(endpoint: str) -> None:
    limit = {"Budget": {"BudgetLimit": {"Amount": "100.0", "Unit": "USD"}}}
    tags = {"ResourceTags": SERVICE.tag_list()}
    kind = "application/x-amz-json-1.1"
    answers = {"DescribeBudget": (kind, json.dumps(limit)), "ListTagsForResource": (kind, json.dumps(tags))}
    answers |= {"Action=DescribeScalingActivities": ("text/xml", ACTIVITIES.format(start=f"{NOW:%Y-%m-%dT%H:%M:%SZ}"))}
    with recorded.before(endpoint, answers) as (url, _):
        shown = operating.manage("cost", "--prefix", "costly", env=env(url)).stdout
        found = json.loads(operating.manage("cost", "--prefix", "costly", "--json", env=env(url)).stdout)
    assert shown.splitlines()[-1] == f"Budget: {found['budget']}"
    assert found["budget"].startswith(
        "US$ 100.00 a month for the whole account, net of credits; US$ 0.00 spent by AWS's count"
    )


def test_bill_begins_with_the_month() -> None:
    assert cost.first_of_month(AT_NOON) == MONTH
