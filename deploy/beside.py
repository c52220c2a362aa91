"""What is made for a prefix beside its stacks, and goes with them: images, certificates, records, log groups."""

from collections.abc import Iterator

from botsite import aws
from deploy import tags
from deploy.certificates import acm, validation
from deploy.cfn.cloudformation import Change, Event, Report
from deploy.images import ami, builder

_IMAGE, _SNAPSHOT, _RECORD, _LOGS = (
    "AWS::EC2::Image",
    "AWS::EC2::Snapshot",
    "AWS::Route53::RecordSet",
    "AWS::Logs::LogGroup",
)


def deletions(prefix: str) -> list[Change]:
    """Return what `delete` would remove."""
    issued = list(acm.ours(prefix, "AMAZON_ISSUED"))
    records = [found[1]["Name"] for state in issued if (found := validation.made(state))]
    named = [one["DomainName"] for one in [*acm.ours(prefix, "IMPORTED"), *issued]]
    return [
        *(Change(f"{prefix}-images", "Remove", image.name, _IMAGE) for image in ami.of_prefix(prefix)),
        *(Change(f"{prefix}-images", "Remove", one, _SNAPSHOT) for one in ami.lone_snapshots(prefix)),
        *(Change(f"{prefix}-certificate", "Remove", one, _RECORD) for one in records),
        *(Change(f"{prefix}-certificate", "Remove", one, acm.TYPE) for one in named),
    ]


def end_prototypes(prefix: str) -> None:
    """End the prototypes that a bake left: the network cannot be deleted while they are in it."""
    builder.end(builder.all_of(prefix))


def delete(prefix: str, report: Report) -> None:
    """Delete it all. The stacks have to be gone: a listener holds a certificate, and machines run from images."""
    for image in ami.of_prefix(prefix):
        ami.remove(image)
        report(Event(f"{prefix}-images", image.name, _IMAGE, "DELETE_COMPLETE"))
    for snapshot in ami.lone_snapshots(prefix):
        ami.remove_snapshot(snapshot)
        report(Event(f"{prefix}-images", snapshot, _SNAPSHOT, "DELETE_COMPLETE"))
    # While the certificate is there: it says where its record is.
    for state in acm.ours(prefix, "AMAZON_ISSUED"):
        if record := validation.remove(state):
            report(Event(f"{prefix}-certificate", record, _RECORD, "DELETE_COMPLETE"))
    for arn in acm.delete(prefix):
        report(Event(f"{prefix}-certificate", arn, acm.TYPE, "DELETE_COMPLETE"))
    for name in [name for name, _ in log_groups(prefix)]:
        aws.client("logs").delete_log_group(logGroupName=name)
        report(Event(f"{prefix}-logs", name, _LOGS, "DELETE_COMPLETE"))


def log_groups(prefix: str) -> Iterator[tuple[str, str]]:
    """Yield name and ARN of the log groups that carry the tags of the prefix: an update may leave one behind."""
    logs = aws.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/{prefix}/"):
        for group in page["logGroups"]:
            arn = group["arn"].removesuffix(":*")
            if tags.of(prefix).items() <= logs.list_tags_for_resource(resourceArn=arn)["tags"].items():
                yield group["logGroupName"], arn
