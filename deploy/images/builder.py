"""Run the instance that an AMI is made from: launch it, follow it through S3, stop it, never leave it behind."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws
from deploy.cfn import remedies
from deploy.cfn.cloudformation import StackError
from deploy.images.ami import POLL_SECONDS
from deploy.images.spec import LIFETIME_MINUTES, BuilderPlace, ImageSpec, user_data
from deploy.patience import Say
from deploy.service import Service

# The newest Amazon Linux 2023; a public parameter that AWS keeps in every region.
_BASE_IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
# The tag of builders; its value is from when they were called prototypes.
_PURPOSE = "prototype"


def base_image() -> str:
    """Return the id of the newest Amazon Linux 2023 AMI in the region."""
    return str(aws.client("ssm").get_parameter(Name=_BASE_IMAGE)["Parameter"]["Value"])


def launch(service: Service, where: BuilderPlace, spec: ImageSpec, folder: str) -> str:
    """Launch a builder whose source is in `folder` of the bucket; return its instance id."""
    image = aws.client("ec2").describe_images(ImageIds=[base_image()])["Images"][0]
    marks = service.tag_list(Name=f"{service}-{spec.role}-builder", Purpose=_PURPOSE, Folder=folder)
    launched = aws.client("ec2").run_instances(
        ImageId=image["ImageId"],
        InstanceType=spec.machine,
        MinCount=1,
        MaxCount=1,
        ClientToken=folder.replace("/", "-")[:64],
        IamInstanceProfile={"Arn": where.profile},
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": where.subnet,
                "Groups": [where.security_group],
                "AssociatePublicIpAddress": True,
                "DeleteOnTermination": True,
            }
        ],
        # A container is one hop farther away from the metadata.
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"},
        BlockDeviceMappings=[{"DeviceName": image["RootDeviceName"], "Ebs": _disk(spec.disk_gib)}],
        InstanceInitiatedShutdownBehavior="terminate",
        UserData=user_data(where, spec, folder),
        TagSpecifications=[{"ResourceType": kind, "Tags": marks} for kind in ("instance", "volume")],
    )
    return str(launched["Instances"][0]["InstanceId"])


def follow(instance_id: str, where: BuilderPlace, folder: str, say: Say) -> None:
    """Wait until the builder is ready, reporting its steps; raise StackError with its last log lines if it fails."""
    deadline = time.monotonic() + LIFETIME_MINUTES * 60
    told = ""
    while told != "ready":
        # In this order: a failing builder reports first and then terminates itself.
        state, reason = _state(instance_id)
        phase = read(where.bucket, f"{folder}/phase") or "booting"
        if phase == "failed":
            lines = (read(where.bucket, f"{folder}/log") or "").rstrip().splitlines()[-40:]
            said = "\n".join([f"The builder failed while {told}. Its last lines:", *lines])
            raise StackError(said + remedies.advice("\n".join(lines)))
        if phase != told:
            say(phase)
            told = phase
        if state not in ("pending", "running"):
            raise StackError(f"The builder {instance_id} is {state} while {told}: {reason or 'no reason given'}.")
        if time.monotonic() > deadline:
            raise StackError(f"The builder {instance_id} is still {told} after {LIFETIME_MINUTES} minutes.")
        aws.pause(POLL_SECONDS)


def stop(instance_id: str) -> None:
    """Stop the builder, so that its disk doesn't change any more."""
    ec2 = aws.client("ec2")
    ec2.stop_instances(InstanceIds=[instance_id])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance_id], WaiterConfig={"Delay": 5, "MaxAttempts": 120})


def of_folder(service: Service, folder: str) -> list[str]:
    """Return the id of the builder that was launched with this folder, if any."""
    return [one["InstanceId"] for one in _builders(service, Folder=folder)]


def all_of(service: Service) -> list[str]:
    """Return the ids of the service's builders."""
    return [one["InstanceId"] for one in _builders(service)]


def stale(service: Service) -> list[str]:
    """Return the ids of builders that nobody waits for any more: a stopped one can't terminate itself."""
    since = datetime.now(UTC) - timedelta(minutes=2 * LIFETIME_MINUTES)
    return [one["InstanceId"] for one in _builders(service) if one["LaunchTime"] < since]


def end(instance_ids: list[str]) -> None:
    """Terminate builders that are still there; their disks are deleted with them."""
    alive = [one for one in instance_ids if _state(one)[0] not in ("shutting-down", "terminated")]
    if alive:
        aws.client("ec2").terminate_instances(InstanceIds=alive)


def _builders(service: Service, **more: str) -> list[dict[str, Any]]:
    states = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    conditions = [*service.tag_filters(Purpose=_PURPOSE, **more), states]
    pages = aws.client("ec2").get_paginator("describe_instances").paginate(Filters=conditions)
    return [one for page in pages for group in page["Reservations"] for one in group["Instances"]]


def _disk(gibibytes: int) -> dict[str, Any]:
    return {"VolumeSize": gibibytes, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}


def _state(instance_id: str) -> tuple[str, str]:
    """Return the state of an instance and the reason for it."""
    # By filter: a new id that EC2 doesn't know everywhere yet would be an error.
    condition = {"Name": "instance-id", "Values": [instance_id]}
    found = aws.client("ec2").describe_instances(Filters=[condition])["Reservations"]
    if not found:
        return "pending", ""
    instance = found[0]["Instances"][0]
    reason = instance.get("StateTransitionReason") or instance.get("StateReason", {}).get("Message", "")
    return instance["State"]["Name"], reason


def read(bucket: str, key: str) -> str | None:
    """Return the text of an object, None if it doesn't exist."""
    s3 = aws.client("s3")
    try:
        text: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return text.decode(errors="replace")
