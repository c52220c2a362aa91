"""Images of a service on the local AWS, which registers them but bakes none."""

from botsite import aws
from deploy.service import Service


def register(service: Service, role: str, version: str, **tags: str) -> str:
    """Register an image of a role as a bake would tag it; return its id."""
    name = f"{service}-{role}-{version}"
    marks = service.tag_list(Role=role, Version=version, Name=name, **tags)
    specification = [{"ResourceType": "image", "Tags": marks}]
    return str(aws.client("ec2").register_image(Name=name, TagSpecifications=specification)["ImageId"])


def started(service: Service, part: str) -> str:
    """Return the image that new machines of a part start from."""
    group = service.stack(part).outputs[{"workers": "Yolo5GroupName", "web": "PolybotGroupName"}[part]]
    found = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    template = found[0]["LaunchTemplate"]
    versions = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]]
    )["LaunchTemplateVersions"]
    return str(versions[0]["LaunchTemplateData"]["ImageId"])
