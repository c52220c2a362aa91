"""Find what still carries the tags of a service that was deleted."""

import time

from django.conf import settings

from botsite import aws
from deploy.local import fixups

# AWS lists what is deleted for some more seconds; a machine, that is being terminated, for some minutes.
_LISTED_SECONDS = 5 * 60


def of(tags: dict[str, str]) -> list[str]:
    """Return the ARNs of what has all these tags, after the time that AWS may still list what is gone."""
    deadline = time.monotonic() + (0 if settings.AWS_ENDPOINT_URL else _LISTED_SECONDS)
    while (found := _tagged(tags)) and time.monotonic() < deadline:
        time.sleep(10)
    return found


def _tagged(tags: dict[str, str]) -> list[str]:
    filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=filters)
    found = [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]
    return fixups.without_forgotten(found) if settings.AWS_ENDPOINT_URL else found
