"""EC2 Auto Scaling replaces instances of an older image. No emulator can, so its answers are scripted here."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from django.conf import settings

from botsite import aws
from deploy.cfn.cloudformation import StackError
from deploy.images import rollout

OLD, NEW = ({"LaunchTemplateId": "lt-0123456789abcdef0", "Version": version} for version in ("1", "2"))


@pytest.fixture
def autoscaling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """A client with scripted answers that validates each request against the service's model."""
    client = boto3.client("autoscaling", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: TID251
    monkeypatch.setattr(aws, "client", lambda service: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def group(*templates: dict[str, str]) -> dict[str, Any]:
    """Return a group of the new template with an instance of each of these."""
    instances = [
        {
            "InstanceId": f"i-{number}",
            "AvailabilityZone": "us-east-1a",
            "LifecycleState": "InService",
            "HealthStatus": "Healthy",
            "ProtectedFromScaleIn": False,
            "LaunchTemplate": template,
        }
        for number, template in enumerate(templates)
    ]
    sizes = {"MinSize": 0, "MaxSize": 4, "DesiredCapacity": len(templates), "DefaultCooldown": 300}
    more = {"AvailabilityZones": ["us-east-1a"], "HealthCheckType": "EC2", "CreatedTime": "2026-01-01T00:00:00Z"}
    return {"AutoScalingGroupName": "g", "LaunchTemplate": NEW, "Instances": instances, **sizes, **more}


def test_machines_of_older_template_are_outdated(autoscaling: Stubber) -> None:
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [group(OLD, NEW, OLD)]})
    assert rollout.outdated("g") == ["i-0", "i-2"]


def test_stopped_machines_of_older_template_are_outdated(autoscaling: Stubber) -> None:
    pooled = group(NEW) | {"WarmPoolConfiguration": {"MaxGroupPreparedCapacity": 2}}
    stopped = [one | {"LifecycleState": "Warmed:Stopped"} for one in group(OLD, NEW)["Instances"]]
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [pooled]})
    autoscaling.add_response("describe_warm_pool", {"Instances": stopped})
    assert rollout.outdated("g") == ["i-0"]


def test_group_with_spot_instances_has_template_in_its_policy(autoscaling: Stubber) -> None:
    mixed = group(OLD, NEW) | {"MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification": NEW}}}
    del mixed["LaunchTemplate"]
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [mixed]})
    assert rollout.outdated("g") == ["i-0"]


def test_missing_group_has_no_outdated_instances(autoscaling: Stubber) -> None:
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": []})
    assert rollout.outdated("g") == []


def test_refresh_launches_first_and_skips_matching_instances(
    autoscaling: Stubber,
) -> None:
    preferences = {
        "MinHealthyPercentage": 100,
        "MaxHealthyPercentage": 200,
        "SkipMatching": True,
        "ScaleInProtectedInstances": "Wait",
    }
    wanted = {"AutoScalingGroupName": "g", "Strategy": "Rolling", "Preferences": preferences}
    autoscaling.add_response("start_instance_refresh", {"InstanceRefreshId": "r-1"}, wanted)
    assert rollout.start("g") == "r-1"


def test_terminating_instance_is_not_replaced(autoscaling: Stubber) -> None:
    draining = group(OLD, OLD)
    draining["Instances"][0]["LifecycleState"] = "Terminating:Wait"
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [draining]})
    assert rollout.outdated("g") == ["i-1"]


def test_running_refresh_is_not_restarted(autoscaling: Stubber) -> None:
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    assert rollout.start("g") == ""


def test_running_refresh_is_cancelled_for_another_image(autoscaling: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    """From "Cancel an instance refresh" in the EC2 Auto Scaling user guide: what has begun is finished first."""
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", "http://emulator")
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    autoscaling.add_response("cancel_instance_refresh", {"InstanceRefreshId": "r-1"}, {"AutoScalingGroupName": "g"})
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    autoscaling.add_response("start_instance_refresh", {"InstanceRefreshId": "r-2"})
    assert rollout.restart("g") == "r-2"


def test_just_ended_refresh_is_not_cancelled(autoscaling: Stubber) -> None:
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    autoscaling.add_client_error("cancel_instance_refresh", "ActiveInstanceRefreshNotFound")
    autoscaling.add_response("start_instance_refresh", {"InstanceRefreshId": "r-2"})
    assert rollout.restart("g") == "r-2"


def test_refresh_is_followed_to_its_end(autoscaling: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", "http://emulator")
    for done in (0, 50, 50):
        state: dict[str, Any] = {"Status": "InProgress", "PercentageComplete": done}
        autoscaling.add_response("describe_instance_refreshes", {"InstanceRefreshes": [state]})
    autoscaling.add_response("describe_instance_refreshes", {"InstanceRefreshes": [{"Status": "Successful"}]})
    said: list[str] = []
    rollout.follow("g", "r-1", said.append)
    assert said == ["g: 0 % replaced", "g: 50 % replaced"]


def test_failed_refresh_is_reported_with_its_reason(autoscaling: Stubber) -> None:
    state = {"Status": "Failed", "StatusReason": "No capacity."}
    autoscaling.add_response("describe_instance_refreshes", {"InstanceRefreshes": [state]})
    with pytest.raises(StackError, match=r"g: the instance refresh is Failed: No capacity\."):
        rollout.follow("g", "r-1", print)
