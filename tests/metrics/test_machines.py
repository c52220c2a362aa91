"""The templates' instances: how they are launched and configured, who reaches them, and how many run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from botsite import aws, settings
from deploy import provision, stacks
from deploy.cfn import template
from deploy.images import spec
from deploy.images.spec import ImageSpec
from deploy.service import Service
from detection.work import termination
from tests.support import emulators, forked
from tests.support.deployed import instance_settings, launch_data, user_data

ROOT = Path(__file__).parents[2]
PREFIX = "machines"
# Each stack's role, and its name in `settings.require`.
ROLES = {"polybot": "polybot", "yolo5": "yolo5", "metrics": "metricStreamer"}
PARTS = {"polybot": "web", "yolo5": "workers", "metrics": "metrics"}

each_role = pytest.mark.parametrize("role", ROLES)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated AWS with the service on it."""
    with emulators.ministack() as url:
        provision.deploy(Service(PREFIX))
        yield url


def written(role: str) -> dict[str, Any]:
    """Return the data of the role's launch template in its template."""
    text = template.read(stacks.TEMPLATES / f"{PARTS[role]}.yaml")
    found = next(one for one in text.all_resources.values() if one["Type"] == "AWS::EC2::LaunchTemplate")
    data: dict[str, Any] = found["Properties"]["LaunchTemplateData"]
    return data


@pytest.mark.parametrize("standby", ["off", "on"])
@each_role
def test_instance_disk_is_as_large_as_builders(role: str, standby: str) -> None:
    """EC2 can't launch an image on a disk smaller than its snapshot."""
    text = template.read(stacks.TEMPLATES / f"{PARTS[role]}.yaml")
    data = text.resolve(written(role), text.names({"StandbyWorker": standby}))
    baked = ImageSpec(role, "v1", standby=role == "metrics" and standby == "on")
    assert data["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == baked.disk_gib


def test_metric_may_work_on_photos_only_with_standby() -> None:
    text = template.read(stacks.TEMPLATES / "metrics.yaml")
    assert "StandbyPolicy" not in text.resources(text.names({}))
    policy = text.resources(text.names({"StandbyWorker": "on"}))["StandbyPolicy"]["Properties"]
    allowed = {one["Sid"]: one["Action"] for one in policy["PolicyDocument"]["Statement"]}
    assert allowed["StandbyPhotos"] == "s3:GetObject"
    assert allowed["StandbyJobs"] == ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]


def test_stacks_provide_builders_network(endpoint: str) -> None:
    where = spec.place(Service(PREFIX))
    subnet = aws.client("ec2").describe_subnets(SubnetIds=[where.subnet])["Subnets"][0]
    group = aws.client("ec2").describe_security_groups(GroupIds=[where.security_group])["SecurityGroups"][0]
    assert (subnet["MapPublicIpOnLaunch"], group["IpPermissions"]) == (True, [])
    assert aws.client("s3").head_bucket(Bucket=where.bucket)
    assert aws.client("sqs").get_queue_attributes(QueueUrl=where.queue_url)
    assert where.profile.startswith("arn:aws:iam::")


@each_role
def test_machine_gets_all_settings_of_its_role(endpoint: str, role: str) -> None:
    keys = {**emulators.keys(), "AWS_ENDPOINT_URL": endpoint}
    code = f"from botsite import settings; settings.require({ROLES[role]!r})"
    env = {"PATH": os.environ["PATH"], **keys, **instance_settings(PREFIX, role)}
    ended = forked.execute(code, ROOT, env)
    assert ended.returncode == 0, ended.stderr


@each_role
def test_machine_gets_known_settings_and_no_secret(endpoint: str, role: str) -> None:
    listed = {line.partition("=")[0] for line in (ROOT / ".env.example").read_text().splitlines()}
    given = instance_settings(PREFIX, role)
    # LOG_GROUP is for the container's runtime; the admin reads LOG_GROUPS.
    assert given.keys() - listed <= {"LOG_GROUP", "LOG_GROUPS"}
    manager = aws.client("secretsmanager")
    secrets = [
        manager.get_secret_value(SecretId=one["Name"])["SecretString"] for one in manager.list_secrets()["SecretList"]
    ]
    values = [value for secret in secrets if secret for value in json.loads(secret).values()]
    assert len(values) == 4
    assert [value for value in values if value in json.dumps(launch_data(PREFIX, role)) + user_data(PREFIX, role)] == []


@each_role
def test_user_data_satisfies_shellcheck(endpoint: str, role: str) -> None:
    command = [str(Path(sys.executable).with_name("shellcheck")), "--enable=all", "-"]
    found = subprocess.run(command, input=user_data(PREFIX, role), capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@each_role
def test_machine_has_token_metadata_and_encrypted_disk(role: str) -> None:
    data = written(role)
    assert data["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
    }
    assert [one["Ebs"]["Encrypted"] for one in data["BlockDeviceMappings"]] == [True]
    assert "KeyName" not in data


@each_role
def test_t3_has_unlimited_credits_and_other_types_have_none(role: str) -> None:
    text = template.read(stacks.TEMPLATES / f"{PARTS[role]}.yaml")
    types = {"t3.nano": True, "t3.2xlarge": True, "c7i-flex.large": False, "t3.metal": False}
    for name, has_credits in types.items():
        parameter = next(one for one in text.parameters if one in ("WebType", "WorkerType", "MetricsType"))
        data = text.resolve(written(role), text.names({parameter: name}))
        assert data.get("CreditSpecification") == ({"CpuCredits": "unlimited"} if has_credits else None), name


@each_role
def test_group_uses_newest_launch_template_in_both_zones(endpoint: str, role: str) -> None:
    found = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[f"{PREFIX}-{role}"])
    group = found["AutoScalingGroups"][0]
    network = Service(PREFIX).stack("network").outputs
    assert group["LaunchTemplate"]["LaunchTemplateName"] == f"{PREFIX}-{role}"
    assert group["LaunchTemplate"]["Version"] == "1"
    assert group["VPCZoneIdentifier"] == f"{network['SubnetAId']},{network['SubnetBId']}"
    sizes = {"polybot": (2, 4), "yolo5": (0, 4), "metrics": (1, 2)}
    assert (group["MinSize"], group["MaxSize"]) == sizes[role]


@pytest.mark.parametrize(("part", "name"), [("web", "PolybotGroup"), ("metrics", "MetricsGroup")])
def test_fixed_group_has_room_for_each_successor(part: str, name: str) -> None:
    """EC2 Auto Scaling launches up to 200 % of the desired capacity, and its guide says nothing of the maximum."""
    text = template.read(stacks.TEMPLATES / f"{part}.yaml")
    group = text.all_resources[name]["Properties"]
    assert group["InstanceMaintenancePolicy"] == {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200}
    assert int(group["MaxSize"]) == 2 * int(group["MinSize"])


def test_subnets_are_in_two_zones(endpoint: str) -> None:
    network = Service(PREFIX).stack("network").outputs
    ids = [network["SubnetAId"], network["SubnetBId"]]
    subnets = aws.client("ec2").describe_subnets(SubnetIds=ids)["Subnets"]
    assert sorted(one["AvailabilityZone"] for one in subnets) == ["us-east-1a", "us-east-1b"]


def test_no_template_sets_number_of_workers() -> None:
    """An update of the stack would reset the running group to it."""
    for part in PARTS.values():
        text = template.read(stacks.TEMPLATES / f"{part}.yaml")
        groups = [one for one in text.all_resources.values() if one["Type"] == "AWS::AutoScaling::AutoScalingGroup"]
        assert [one for one in groups if "DesiredCapacity" in one["Properties"]] == []


def test_only_load_balancer_reaches_machines(endpoint: str) -> None:
    network = Service(PREFIX).stack("network").outputs
    groups = {name: network[f"{name}SecurityGroupId"] for name in ("Balancer", "Web", "Workers")}
    found = aws.client("ec2").describe_security_groups(GroupIds=list(groups.values()))["SecurityGroups"]
    ingress = {one["GroupId"]: [opened(rule) for rule in one["IpPermissions"]] for one in found}
    assert {name: ingress[group] for name, group in groups.items()} == {
        "Balancer": [(443, ["0.0.0.0/0"], []), (80, ["0.0.0.0/0"], [])],
        "Web": [(8000, [], [groups["Balancer"]])],
        "Workers": [],
    }


def test_machines_reach_https_and_the_balancers_results(endpoint: str) -> None:
    network = Service(PREFIX).stack("network").outputs
    ids = [network["WebSecurityGroupId"], network["WorkersSecurityGroupId"]]
    found = aws.client("ec2").describe_security_groups(GroupIds=ids)["SecurityGroups"]
    egress = [sorted(opened(rule) for rule in one["IpPermissionsEgress"]) for one in found]
    assert egress == [[(80, ["0.0.0.0/0"], []), (443, ["0.0.0.0/0"], [])]] * 2


def opened(rule: dict[str, Any]) -> tuple[int, list[str], list[str]]:
    """Return a rule's port, and the addresses and groups that it allows."""
    assert rule["FromPort"] == rule["ToPort"]
    sources = [one["GroupId"] for one in rule["UserIdGroupPairs"]]
    return rule["FromPort"], [one["CidrIp"] for one in rule["IpRanges"]], sources


def test_leaving_worker_has_time_to_finish(endpoint: str) -> None:
    hooks = aws.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=f"{PREFIX}-yolo5")["LifecycleHooks"]
    assert [(one["LifecycleHookName"], one["DefaultResult"], one["HeartbeatTimeout"]) for one in hooks] == [
        (f"{PREFIX}-yolo5-drain", "CONTINUE", 960)
    ]


def test_workers_scale_by_both_metrics_every_30_s(endpoint: str) -> None:
    found = aws.client("autoscaling").describe_policies(AutoScalingGroupName=f"{PREFIX}-yolo5")["ScalingPolicies"]
    tracked = [one["TargetTrackingConfiguration"] for one in found if "TargetTrackingConfiguration" in one]
    metrics = [one["CustomizedMetricSpecification"] for one in tracked]
    targets = {metric["MetricName"]: one["TargetValue"] for metric, one in zip(metrics, tracked, strict=True)}
    assert targets == {"BacklogPerInstance": 270.0, "InFlightPerInstance": 10.0}
    assert {(one["Period"], one["Statistic"]) for one in metrics} == {(30, "Average")}
    dimensions = [{"Name": "AutoScalingGroupName", "Value": f"{PREFIX}-yolo5"}]
    assert [one["Dimensions"] for one in metrics] == [dimensions] * 2
    [first] = [one for one in found if one["PolicyType"] == "StepScaling"]
    steps = first["StepAdjustments"]
    assert first["AdjustmentType"] == "ChangeInCapacity"
    assert [step["ScalingAdjustment"] for step in steps] == list(range(1, 11))
    assert [step["MetricIntervalLowerBound"] for step in steps] == [270.0 * number for number in range(10)]
    alarm = aws.client("cloudwatch").describe_alarms(AlarmNames=[f"{PREFIX}-first-worker"])["MetricAlarms"][0]
    assert (alarm["MetricName"], alarm["Period"], alarm["EvaluationPeriods"]) == ("BacklogWithoutCapacity", 10, 1)
    assert alarm["AlarmActions"] == [first["PolicyARN"]]


def workers(**values: str) -> dict[str, dict[str, Any]]:
    """Return the properties of the workers' resources with these parameters."""
    text = template.read(stacks.TEMPLATES / "workers.yaml")
    names = text.names({"Prefix": PREFIX, **values})
    return {name: text.resolve(one.get("Properties", {}), names) for name, one in text.resources(names).items()}


def test_pool_and_spot_are_off_by_default() -> None:
    """The emulator refuses a template with a warm pool in it, unless a condition leaves that out."""
    made = workers()
    assert {"Yolo5Pool", "Yolo5ReadyHook"} & made.keys() == set()
    assert {"MixedInstancesPolicy", "CapacityRebalance"} & made["Yolo5Group"].keys() == set()
    assert "LaunchTemplate" in made["Yolo5Group"]


def test_pool_is_stopped_reused_and_within_maximum() -> None:
    made = workers(WarmMachines="3")
    pool, hook = made["Yolo5Pool"], made["Yolo5ReadyHook"]
    assert (pool["PoolState"], pool["InstanceReusePolicy"]) == ("Stopped", {"ReuseOnScaleIn": True})
    # The machines that work count too.
    assert (pool["MinSize"], pool["MaxGroupPreparedCapacity"]) == (0, "3")
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    names = [made[one]["LifecycleHookName"] for one in ("Yolo5ReadyHook", "Yolo5DrainHook")]
    assert names == [f"{PREFIX}-yolo5{one}" for one in (termination.READY_HOOK, termination.DRAIN_HOOK)]


@pytest.mark.parametrize("share", range(10, 101, 10))
def test_spot_share_leaves_rest_on_demand(share: int) -> None:
    group = workers(SpotShare=str(share))["Yolo5Group"]
    distribution = group["MixedInstancesPolicy"]["InstancesDistribution"]
    assert distribution["OnDemandPercentageAboveBaseCapacity"] == 100 - share
    assert (distribution["OnDemandBaseCapacity"], group["CapacityRebalance"]) == (0, True)
    assert "LaunchTemplate" not in group


def test_namespace_matches_settings(endpoint: str) -> None:
    assert Service(PREFIX).stack("workers").outputs["MetricNamespace"] == settings.METRIC_NAMESPACE
