"""Bake on an emulated EC2, and look at what is left."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botsite import aws, roles
from deploy.images import ami, builder
from deploy.images.ami import Image
from deploy.images.spec import BuilderPlace, ImageSpec
from deploy.service import Service
from tests.support.builders import Machine

WEB = ImageSpec("polybot", "v1", image="111111111111.dkr.ecr.us-east-1.amazonaws.com/objdet-polybot:v1")
Boot = Callable[..., Machine]


def place_of(prefix: str) -> BuilderPlace:
    """Return where builders run, which the stacks would provide if moto could deploy them."""
    aws.client("s3").create_bucket(Bucket=f"{prefix}-images")
    iam = aws.client("iam")
    # On a busy machine boto3 may retry although the emulator has created the profile.
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_instance_profile(InstanceProfileName=prefix)
    profile = iam.get_instance_profile(InstanceProfileName=prefix)["InstanceProfile"]
    ec2 = aws.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    return BuilderPlace(subnet, group, profile["Arn"], f"{prefix}-images", "http://sqs/bake")


def silent(text: str) -> None:
    """Ignore a line."""


def launched(prefix: str) -> list[dict[str, Any]]:
    """Return all builders that were launched for a prefix."""
    found = aws.client("ec2").describe_instances(Filters=[{"Name": "tag:Project", "Values": [prefix]}])
    return [one for group in found["Reservations"] for one in group["Instances"]]


def left(prefix: str) -> tuple[list[str], list[str], list[Image]]:
    """Return what is left: running builders, objects in the bucket, images."""
    alive = [one["InstanceId"] for one in launched(prefix) if one["State"]["Name"] != "terminated"]
    objects = [one["Key"] for one in aws.client("s3").list_objects_v2(Bucket=f"{prefix}-images").get("Contents", [])]
    return alive, objects, [image for role in roles.ROLES for image in ami.of_role(Service(prefix), role.short)]


def an_image(prefix: str, version: str, role: str = "yolo5") -> Image:
    """Make an image of some instance, without a bake."""
    return ami.create(Service(prefix), role, version, stopped(), silent)


def stopped() -> str:
    """Return the id of some stopped instance."""
    ec2 = aws.client("ec2")
    made = ec2.run_instances(ImageId=builder.base_image(), MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ec2.stop_instances(InstanceIds=[made])
    return str(made)
