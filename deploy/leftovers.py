"""Find what still carries the tags of a service that was deleted."""

import time
from collections.abc import Iterator

from django.conf import settings

from botsite import aws
from deploy import beside, tags
from deploy.certificates import acm
from deploy.images import ami

# AWS lists what is deleted for some more seconds; a machine, that is being terminated, for some minutes.
_LISTED_SECONDS = 5 * 60


def of(prefix: str) -> list[str]:
    """Return the ARNs of what has the tags of a prefix, after the time that AWS may still list what is gone."""
    deadline = time.monotonic() + aws.lag(_LISTED_SECONDS)
    while (found := sorted({*_tagged(prefix), *_asked(prefix)})) and time.monotonic() < deadline:
        time.sleep(10)
    return found


def _tagged(prefix: str) -> list[str]:
    filters = [{"Key": key, "Values": [value]} for key, value in tags.of(prefix).items()]
    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=filters)
    return [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]


def _asked(prefix: str) -> Iterator[str]:
    """Yield what the services themselves say of what was made beside the stacks: their tags are known there first."""
    region = settings.AWS_REGION
    for kind in acm.KINDS:
        yield from (str(one["CertificateArn"]) for one in acm.ours(prefix, kind))
    for image in ami.of_prefix(prefix):
        yield f"arn:aws:ec2:{region}::image/{image.id}"
    for snapshot in ami.lone_snapshots(prefix):
        yield f"arn:aws:ec2:{region}::snapshot/{snapshot}"
    yield from (arn for _, arn in beside.log_groups(prefix))
