"""Ask the service that owns a resource whether it is still there: the tagging API lists what is gone for an hour.

It goes on listing terminated instances for about an hour (boto3 1704), and deleted volumes, listeners and rules for
more than 20 minutes (aws-cli 4173, aws-sdk 676).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws

# How services say that something is gone; S3 answers HEAD with a bare 404.
_GONE = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist|^404$|not exist")
_GONE_STATES = ("terminated", "deleted", "DELETE_COMPLETE")
Ask = Callable[[str, str], Any]  # ARN, name at its end -> what the service has of it, empty if nothing


def alive(arn: str) -> bool:
    """Return whether the resource exists, as its own service says; yes for a kind that can't be asked about."""
    ask = _asking(arn)
    if ask is None:
        return True
    try:
        return bool(ask(arn, _name(arn)))
    except ClientError as error:
        said = error.response["Error"]
        if _GONE.search(said.get("Code", "")) or _GONE.search(said.get("Message", "")):
            return False
        raise


def _asking(arn: str) -> Ask | None:
    service, resource = arn.split(":", 5)[2::3]
    kind = re.split(r"[:/]", resource)[0] if re.search(r"[:/]", resource) else ""
    return _ASKED.get((service, kind))


def _name(arn: str) -> str:
    """Return the name or id at the end of an ARN: what follows the kind."""
    resource = arn.split(":", 5)[5]
    return re.split(r"[:/]", resource, maxsplit=1)[-1]


def _ec2(operation: str, ids: str, key: str) -> Ask:
    def ask(arn: str, name: str) -> list[Any]:
        found = getattr(aws.client("ec2"), operation)(**{ids: [name]})[key]
        return [one for one in found if one.get("State") not in _GONE_STATES]

    return ask


def _instance(arn: str, name: str) -> list[Any]:
    groups = aws.client("ec2").describe_instances(InstanceIds=[name])["Reservations"]
    every = [one for group in groups for one in group["Instances"]]
    return [one for one in every if one["State"]["Name"] not in _GONE_STATES]


def _stack(arn: str, name: str) -> list[Any]:
    found = aws.client("cloudformation").describe_stacks(StackName=arn)["Stacks"]
    return [one for one in found if one["StackStatus"] not in _GONE_STATES]


def _group(arn: str, name: str) -> Any:
    names = [arn.rpartition("/")[2]]
    return aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=names)["AutoScalingGroups"]


def _secret(arn: str, name: str) -> bool:
    # One that is about to be deleted is described until then.
    return "DeletedDate" not in aws.client("secretsmanager").describe_secret(SecretId=arn)


def _log_group(arn: str, name: str) -> list[Any]:
    name = name.removesuffix(":*")
    found = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return [one for one in found if one["logGroupName"] == name]


def _elb(operation: str, arns: str, key: str) -> Ask:
    return lambda arn, name: getattr(aws.client("elbv2"), operation)(**{arns: [arn]})[key]


# Service and kind, as they are in an ARN; a kind is empty where the name follows at once.
_ASKED: Mapping[tuple[str, str], Ask] = {
    ("ec2", "instance"): _instance,
    ("ec2", "image"): _ec2("describe_images", "ImageIds", "Images"),
    ("ec2", "internet-gateway"): _ec2("describe_internet_gateways", "InternetGatewayIds", "InternetGateways"),
    ("ec2", "launch-template"): _ec2("describe_launch_templates", "LaunchTemplateIds", "LaunchTemplates"),
    ("ec2", "network-interface"): _ec2("describe_network_interfaces", "NetworkInterfaceIds", "NetworkInterfaces"),
    ("ec2", "route-table"): _ec2("describe_route_tables", "RouteTableIds", "RouteTables"),
    ("ec2", "security-group"): _ec2("describe_security_groups", "GroupIds", "SecurityGroups"),
    ("ec2", "security-group-rule"): _ec2("describe_security_group_rules", "SecurityGroupRuleIds", "SecurityGroupRules"),
    ("ec2", "snapshot"): _ec2("describe_snapshots", "SnapshotIds", "Snapshots"),
    ("ec2", "subnet"): _ec2("describe_subnets", "SubnetIds", "Subnets"),
    ("ec2", "volume"): _ec2("describe_volumes", "VolumeIds", "Volumes"),
    ("ec2", "vpc"): _ec2("describe_vpcs", "VpcIds", "Vpcs"),
    ("ec2", "vpc-endpoint"): _ec2("describe_vpc_endpoints", "VpcEndpointIds", "VpcEndpoints"),
    ("elasticloadbalancing", "loadbalancer"): _elb("describe_load_balancers", "LoadBalancerArns", "LoadBalancers"),
    ("elasticloadbalancing", "targetgroup"): _elb("describe_target_groups", "TargetGroupArns", "TargetGroups"),
    ("elasticloadbalancing", "listener"): _elb("describe_listeners", "ListenerArns", "Listeners"),
    ("elasticloadbalancing", "listener-rule"): _elb("describe_rules", "RuleArns", "Rules"),
    ("autoscaling", "autoScalingGroup"): _group,
    ("cloudformation", "stack"): _stack,
    ("cloudwatch", "alarm"): lambda arn, name: aws.client("cloudwatch").describe_alarms(AlarmNames=[name])[
        "MetricAlarms"
    ],
    ("cloudwatch", "dashboard"): lambda arn, name: aws.client("cloudwatch").get_dashboard(DashboardName=name),
    ("dynamodb", "table"): lambda arn, name: aws.client("dynamodb").describe_table(TableName=name),
    ("iam", "role"): lambda arn, name: aws.client("iam").get_role(RoleName=name.rpartition("/")[2]),
    ("iam", "policy"): lambda arn, name: aws.client("iam").get_policy(PolicyArn=arn),
    ("iam", "instance-profile"): lambda arn, name: aws.client("iam").get_instance_profile(
        InstanceProfileName=name.rpartition("/")[2]
    ),
    ("budgets", "budget"): lambda arn, name: aws.client("budgets").describe_budget(
        AccountId=arn.split(":")[4], BudgetName=name
    ),
    ("acm", "certificate"): lambda arn, name: aws.client("acm").describe_certificate(CertificateArn=arn),
    ("logs", "log-group"): _log_group,
    ("s3", ""): lambda arn, name: aws.client("s3").head_bucket(Bucket=name),
    ("secretsmanager", "secret"): _secret,
    ("sns", ""): lambda arn, name: aws.client("sns").get_topic_attributes(TopicArn=arn),
    ("sqs", ""): lambda arn, name: aws.client("sqs").get_queue_url(QueueName=name),
}
