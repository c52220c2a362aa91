"""Find what exists under a prefix, so that a run never touches what somebody else has made."""

from collections.abc import Callable, Iterator, Mapping

from botocore.exceptions import ClientError

from botsite import aws
from deploy import teardown
from deploy.acceptance.plan import AcceptanceError
from deploy.cfn import cloudformation, remedies
from deploy.service import Service


def check(service: Service) -> list[str]:
    """Raise AcceptanceError if anything has a name or the tags of the service; return what can't be looked for."""
    found, denied = [], []
    for kind, look in _LOOKS.items():
        try:
            found += [f"{kind} {name}" for name in look(service)]
        except ClientError as error:
            if not (action := remedies.denied_action(error)):
                raise
            denied.append(f"these credentials lack {action}: nobody looked for a {kind} of {service}")
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise AcceptanceError(
            f"The prefix {service} is taken: {', '.join(found[:3])}{more}. An acceptance run only uses one that nobody "
            "has: leave --prefix out, or choose another."
        )
    return denied


def _stacks(service: Service) -> Iterator[str]:
    return (one.name for one in cloudformation.every() if one.name.startswith(f"{service}-"))


def _buckets(service: Service) -> Iterator[str]:
    found = aws.client("s3").list_buckets()["Buckets"]
    return (one["Name"] for one in found if one["Name"].startswith(f"{service}-"))


def _log_groups(service: Service) -> Iterator[str]:
    pages = aws.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/{service}/")
    return (one["logGroupName"] for page in pages for one in page["logGroups"])


def _secrets(service: Service) -> Iterator[str]:
    # Also one that is about to be deleted: its name is taken until then.
    only = [{"Key": "name", "Values": [f"{service}/"]}]
    pages = aws.client("secretsmanager").get_paginator("list_secrets")
    found = pages.paginate(Filters=only, IncludePlannedDeletion=True)
    return (one["Name"] for page in found for one in page["SecretList"] if one["Name"].startswith(f"{service}/"))


def _queues(service: Service) -> Iterator[str]:
    return iter(aws.client("sqs").list_queues(QueueNamePrefix=f"{service}-").get("QueueUrls", []))


def _tables(service: Service) -> Iterator[str]:
    pages = aws.client("dynamodb").get_paginator("list_tables").paginate()
    return (name for page in pages for name in page["TableNames"] if name.startswith(f"{service}-"))


def _groups(service: Service) -> Iterator[str]:
    pages = aws.client("autoscaling").get_paginator("describe_auto_scaling_groups").paginate()
    found = (one["AutoScalingGroupName"] for page in pages for one in page["AutoScalingGroups"])
    return (name for name in found if name.startswith(f"{service}-"))


_LOOKS: Mapping[str, Callable[[Service], Iterator[str]]] = {
    "stack": _stacks,
    "bucket": _buckets,
    "log group": _log_groups,
    "secret": _secrets,
    "queue": _queues,
    "table": _tables,
    "Auto Scaling group": _groups,
    "resource": lambda service: iter(teardown.existing(service)),
}
