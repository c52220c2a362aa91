"""Check the CloudFormation templates without deploying them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import stacks
from deploy.cfn import planning, template
from deploy.cfn.template import Template

FILES = sorted(stacks.TEMPLATES.glob("*.yaml"))
REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-1")
HOLD_DATA = (
    "AWS::SQS::Queue",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
    "AWS::Logs::LogGroup",
)
# Actions for which AWS's service authorization reference lists no resource type.
WITHOUT_RESOURCE = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribePolicies",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeScheduledActions",
    # It takes alarms, but its own reference asks for "*" where composite alarms are to be seen.
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}
SECTIONS = [
    "AWSTemplateFormatVersion",
    "Description",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
]


def by_file(path: Path) -> str:
    return path.stem


each_template = pytest.mark.parametrize("path", FILES, ids=by_file)


@pytest.mark.slow
def test_cfn_lint_finds_nothing_in_three_regions() -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--regions", *REGIONS, "--", *map(str, FILES)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


def test_yamllint_finds_nothing() -> None:
    rules = {"line-length": {"max": 120}, "document-start": "disable", "comments": {"min-spaces-from-content": 1}}
    config = json.dumps({"extends": "default", "rules": {**rules, "comments-indentation": "disable"}})
    command = [str(Path(sys.executable).with_name("yamllint")), "--strict", "-d", config, *map(str, FILES)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_templates_and_stacks_correspond() -> None:
    assert sorted(stacks.order()) == [path.stem for path in FILES]


@each_template
def test_sections_are_in_order(path: Path) -> None:
    lines = path.read_text().splitlines()
    sections = [line.partition(":")[0] for line in lines if line and line[0].isalpha()]
    assert sections == [section for section in SECTIONS if section in sections]


@each_template
def test_parameters_and_outputs_are_explained(path: Path) -> None:
    text = template.read(path)
    assert len(text.parameters) <= 17
    for name, parameter in {**text.parameters, **text.outputs}.items():
        assert parameter.get("Description", "").endswith((".", ")")), name
    for name, parameter in text.parameters.items():
        if parameter["Type"] == "Number":
            assert any(unit in parameter["Description"] for unit in ("days", "seconds", "jobs", "number of")), name


@each_template
def test_outputs_are_exported_under_stack_name(path: Path) -> None:
    for name, output in template.read(path).outputs.items():
        assert output["Export"] == {"Name": {"Fn::Sub": "${AWS::StackName}-" + name}}


def imports(value: Any) -> Iterator[str]:
    """Yield the exports that a part of a template imports, as `<part>-<output>`."""
    if isinstance(value, dict):
        if "Fn::ImportValue" in value:
            yield value["Fn::ImportValue"]["Fn::Sub"].removeprefix("${Prefix}-")
        for item in value.values():
            yield from imports(item)
    elif isinstance(value, list):
        for item in value:
            yield from imports(item)


@each_template
def test_stack_imports_only_constant_exports_of_earlier_ones(path: Path) -> None:
    """CloudFormation refuses to change an export while it is imported: the value of a parameter is passed to both."""
    earlier = stacks.order()[: stacks.order().index(path.stem)]
    for part, _, output in (name.partition("-") for name in imports(template.read(path).all_resources)):
        assert part in earlier
        exporter = template.read(stacks.TEMPLATES / f"{part}.yaml")
        assert exporter.outputs[output]["Value"].get("Ref") not in exporter.parameters, output


def test_parameter_means_the_same_in_every_template() -> None:
    found: dict[str, Any] = {}
    for path in FILES:
        for name, parameter in template.read(path).parameters.items():
            same = {key: value for key, value in parameter.items() if key != "Description"}
            assert found.setdefault(name, same) == same, f"{name} in {path.name}"


@each_template
def test_checkov_exceptions_have_reasons(path: Path) -> None:
    """`make audit` runs checkov in a separate environment, because it is larger than everything else."""
    skips = [line.partition("checkov:skip=")[2] for line in path.read_text().splitlines() if "checkov:" in line]
    assert [skip for skip in skips if not re.fullmatch(r"CKV2?_AWS_\d+:\w.{20,}", skip)] == []


@each_template
def test_dead_letter_queues_keep_messages_longer(path: Path) -> None:
    text = template.read(path)
    queues = {
        name: text.resolve(queue["Properties"], text.names({}))
        for name, queue in text.resources(text.names({})).items()
        if queue["Type"] == "AWS::SQS::Queue"
    }
    redrives = {name: queue["RedrivePolicy"] for name, queue in queues.items() if "RedrivePolicy" in queue}
    dead = {name: redrive["deadLetterTargetArn"]["Fn::GetAtt"][0] for name, redrive in redrives.items()}
    assert set(queues) == {*dead, *dead.values()}
    for name, target in dead.items():
        assert queues[target]["MessageRetentionPeriod"] > int(queues[name]["MessageRetentionPeriod"])


def test_no_job_outlives_its_photo() -> None:
    storage, queue = (template.read(stacks.TEMPLATES / f"{part}.yaml").parameters for part in ("storage", "queue"))
    assert queue["JobsKeptSeconds"]["MaxValue"] < min(storage["KeptDays"]["AllowedValues"]) * 86_400


@each_template
def test_data_has_deletion_policies(path: Path) -> None:
    for name, resource in template.read(path).all_resources.items():
        if resource["Type"] in HOLD_DATA:
            policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            assert policies == ("Delete", "Retain"), name


@each_template
def test_data_is_encrypted_and_expires(path: Path) -> None:
    for name, resource in template.read(path).all_resources.items():
        has = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::SQS::Queue":
                assert has["SqsManagedSseEnabled"] is True, name
                assert "MessageRetentionPeriod" in has, name
            case "AWS::DynamoDB::Table":
                assert has["SSESpecification"] == {"SSEEnabled": True}
                assert has["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
                assert has["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
            case "AWS::S3::Bucket":
                assert has["BucketEncryption"]
                assert has["LifecycleConfiguration"]
            case "AWS::Logs::LogGroup":
                assert "RetentionInDays" in has, name


def test_photos_and_predictions_stay_off_the_internet() -> None:
    found = template.read(stacks.TEMPLATES / "network.yaml").all_resources.values()
    endpoints = [one["Properties"] for one in found if one["Type"] == "AWS::EC2::VPCEndpoint"]
    services = sorted(one["ServiceName"]["Fn::Sub"].rpartition(".")[2] for one in endpoints)
    assert services == ["dynamodb", "s3"]
    ways = [(one["VpcEndpointType"], one["RouteTableIds"]) for one in endpoints]
    assert ways == [("Gateway", [{"Ref": "PublicRoutes"}])] * 2


@pytest.fixture
def conditional(tmp_path: Path) -> Template:
    """A template with conditions that no deployed template has."""
    path = tmp_path / "conditional.yaml"
    path.write_text(
        """
Parameters:
  Domain: {Type: String, Default: ''}
  Days: {Type: Number, Default: 3}
Conditions:
  HasDomain: !Not [!Equals [!Ref Domain, '']]
  Short: !And [!Condition HasDomain, !Or [!Equals [!Ref Days, 3], !Equals [!Ref Days, 4]]]
Resources:
  Always:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub '${Domain}-${Days}-${!Kept}-${Other.Arn}'
      Data: !Base64 {'Fn::Sub': ['${Days} ${Id}', {Id: !ImportValue x-network-Id}]}
      Key: !Sub ['${Days}-${Other}-${Domain}', {Other: !ImportValue 'x-network-Id'}]
      Delay: !If [Short, 1, !Ref AWS::NoValue]
      Arn: !GetAtt Always.Arn
  Record: {Type: 'AWS::Route53::RecordSet', Condition: HasDomain}
"""
    )
    return template.read(path)


@pytest.mark.parametrize(
    ("given", "resources", "properties"),
    [
        (
            {},
            ["Always"],
            {
                "QueueName": "-3-${!Kept}-${Other.Arn}",
                "Data": {"Fn::Base64": {"Fn::Sub": ["${Days} ${Id}", {"Id": {"Fn::ImportValue": "x-network-Id"}}]}},
                "Key": "3-${Other}-",
                "Arn": {"Fn::GetAtt": ["Always", "Arn"]},
            },
        ),
        (
            {"Domain": "a.b", "Days": "4", "Always.Arn": "arn:x", "x-network-Id": "vpc-1"},
            ["Always", "Record"],
            {
                "QueueName": "a.b-4-${!Kept}-${Other.Arn}",
                "Data": "NCB2cGMtMQ==",
                "Key": "4-vpc-1-a.b",
                "Arn": "arn:x",
                "Delay": 1,
            },
        ),
    ],
)
def test_plan_follows_conditions_of_template(
    conditional: Template, given: dict[str, str], resources: list[str], properties: dict[str, Any]
) -> None:
    names = conditional.names(given)
    found = conditional.resources(names)
    assert list(found) == resources
    assert conditional.resolve(found["Always"]["Properties"], names) == properties


def test_plan_knows_all_replacing_properties() -> None:
    """A plan asks neither AWS nor the emulator, so this compares with cfn-lint's schemas."""
    # Imported here, as it takes each collecting process a second.
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    for resource in [one for path in FILES for one in template.read(path).all_resources.values()]:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
        kinds = ("createOnlyProperties", "conditionalCreateOnlyProperties")
        known = {path.removeprefix("/properties/") for kind in kinds for path in schema.get(kind, [])}
        # A group's network and launch template, whether in a policy or not, change in place; only having neither of the
        # latter replaces the group.
        in_place = {"VPCZoneIdentifier", "LaunchTemplate", "MixedInstancesPolicy"}
        used = set(resource.get("Properties", {})) - in_place
        assert planning.REPLACING.get(resource["Type"], frozenset()) & used == known & used, resource["Type"]


@each_template
def test_every_alarm_gives_advice_and_notifies(path: Path) -> None:
    for name, resource in template.read(path).all_resources.items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            alarm = resource["Properties"]
            text = alarm["AlarmDescription"]
            text = text if isinstance(text, str) else text["Fn::Sub"]
            assert re.search(r"\b([Cc]heck|[Ff]ind|[Ll]ist|[Rr]ead|[Ss]ee) ", text), name
            assert len(alarm["AlarmActions"]) == 1, name
            assert len(text) <= 1024, name


@each_template
def test_role_statements_are_narrow(path: Path) -> None:
    """All resources are allowed only for actions without resource types, and no action has a wildcard."""
    for statement in statements(path):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert [action for action in actions if "*" in action] == [], statement["Sid"]
        assert statement["Resource"] != "*" or set(actions) <= WITHOUT_RESOURCE, statement["Sid"]


def statements(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the statements of a template's roles and policies."""
    for resource in template.read(path).all_resources.values():
        properties = resource.get("Properties", {})
        for policy in [properties, *properties.get("Policies", [])]:
            for statement in policy.get("PolicyDocument", {}).get("Statement", []):
                if statement["Effect"] == "Allow":
                    yield statement
