"""Delete the service: its stacks, then what is in none: images, certificates, log groups, the budget, and more."""

import time
from collections.abc import Iterator

from django.conf import settings

from botsite import aws
from deploy import budget, stacks
from deploy.certificates import acm, validation
from deploy.cfn import existence
from deploy.cfn.cloudformation import Change, Event, Report
from deploy.images import ami, builder
from deploy.service import Service

_IMAGE, _SNAPSHOT, _RECORD, _LOGS, _TABLE = (
    "AWS::EC2::Image",
    "AWS::EC2::Snapshot",
    "AWS::Route53::RecordSet",
    "AWS::Logs::LogGroup",
    "AWS::DynamoDB::Table",
)
# An instance may take some minutes to terminate.
_ENDING_SECONDS = 5 * 60
# Counting further takes a request per thousand objects, and changes nobody's mind.
_MANY = 10_000


def plan(service: Service, records: bool) -> list[Change]:
    """Return what `delete` would remove."""
    return [*stacks.deletions(service), *_outside_stacks(service, records)]


def delete(service: Service, report: Report, records: bool) -> list[str]:
    """Delete everything, and return the names of the deleted stacks. Running it again finishes an interrupted run.

    DNS records by which AWS validated a certificate are only deleted with `records`: a certificate in another region,
    such as CloudFront's, may renew by the same one, and nobody can see that. Raise StackError, before anything is
    deleted, if somebody else made one of the stacks.
    """
    # The network can't be deleted while a bake's builder is in it.
    builder.end(builder.all_of(service))
    deleted = stacks.delete(service, report)
    # Only now: a listener holds the certificate, and instances run from the images.
    _delete_outside_stacks(service, report, records)
    return deleted


def records(service: Service) -> list[str]:
    """Return the names of the DNS records that we made to validate certificates."""
    found = [validation.made(state) for state in acm.ours(service, "AMAZON_ISSUED")]
    return [str(one[1]["Name"]) for one in found if one]


def copies(service: Service) -> list[str]:
    """Return the names of the tables into which somebody has restored predictions, as the runbook names them."""
    pages = aws.client("dynamodb").get_paginator("list_tables").paginate()
    wanted = f"{service}-predictions-restored"
    return [name for page in pages for name in page["TableNames"] if name.startswith(wanted)]


def leftovers(service: Service) -> list[str]:
    """Return the ARNs of what has the service's tags and still exists, once what is being deleted has had its time."""
    deadline = time.monotonic() + aws.lag(_ENDING_SECONDS)
    while (found := existing(service)) and time.monotonic() < deadline:
        time.sleep(10)
    return found


def stored(service: Service) -> list[str]:
    """Count what users have stored, a line for each kind; what is already gone has no line."""
    outputs: dict[str, str] = {}
    for part in ("storage", "queue"):
        stack = service.find(part)
        outputs |= stack.outputs if stack else {}
    counted = (("ImagesBucketName", _objects), ("PredictionsTableName", _items), ("JobsDlqUrl", _letters))
    found = [count(outputs[name]) for name, count in counted if name in outputs]
    return [line for line in found if line]


def log_groups(service: Service) -> Iterator[tuple[str, str]]:
    """Yield name and ARN of the log groups that carry the service's tags: an update may leave one behind."""
    logs = aws.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/{service}/"):
        for group in page["logGroups"]:
            arn = group["arn"].removesuffix(":*")
            if service.tags().items() <= logs.list_tags_for_resource(resourceArn=arn)["tags"].items():
                yield group["logGroupName"], arn


def _outside_stacks(service: Service, with_records: bool) -> list[Change]:
    validated = records(service) if with_records else []
    named = [one["DomainName"] for kind in ("IMPORTED", "AMAZON_ISSUED") for one in acm.ours(service, kind)]
    budgets = [budget.name(service)] if budget.find(service) else []
    return [
        *(Change(budget.name(service), "Remove", one, budget.TYPE) for one in budgets),
        *(Change(f"{service}-copies", "Remove", one, _TABLE) for one in copies(service)),
        *(Change(f"{service}-images", "Remove", image.name, _IMAGE) for image in ami.all_of(service)),
        *(Change(f"{service}-images", "Remove", one, _SNAPSHOT) for one in ami.lone_snapshots(service)),
        *(Change(f"{service}-certificate", "Remove", one, _RECORD) for one in validated),
        *(Change(f"{service}-certificate", "Remove", one, acm.TYPE) for one in named),
    ]


def _delete_outside_stacks(service: Service, report: Report, with_records: bool) -> None:
    delete_copies(service, report)
    for image in ami.all_of(service):
        ami.remove(image)
        report(Event(f"{service}-images", image.name, _IMAGE, "DELETE_COMPLETE"))
    for snapshot in ami.lone_snapshots(service):
        ami.remove_snapshot(snapshot)
        report(Event(f"{service}-images", snapshot, _SNAPSHOT, "DELETE_COMPLETE"))
    # Before the certificate, which says where its record is.
    for state in acm.ours(service, "AMAZON_ISSUED") if with_records else ():
        if record := validation.remove(state):
            report(Event(f"{service}-certificate", record, _RECORD, "DELETE_COMPLETE"))
    for arn in acm.delete(service):
        report(Event(f"{service}-certificate", arn, acm.TYPE, "DELETE_COMPLETE"))
    for name in [name for name, _ in log_groups(service)]:
        aws.client("logs").delete_log_group(logGroupName=name)
        report(Event(f"{service}-logs", name, _LOGS, "DELETE_COMPLETE"))
    if budget.remove(service):
        report(Event(budget.name(service), budget.name(service), budget.TYPE, "DELETE_COMPLETE"))


def delete_copies(service: Service, report: Report) -> None:
    """Delete the tables into which somebody has restored predictions: people's data, too."""
    for name in copies(service):
        aws.client("dynamodb").delete_table(TableName=name)
        report(Event(f"{service}-copies", name, _TABLE, "DELETE_COMPLETE"))


def existing(service: Service) -> list[str]:
    """Return what the tagging API lists and its own service still has, and what the services list themselves."""
    return sorted({*filter(existence.alive, _tagged(service)), *_asked(service)})


def _tagged(service: Service) -> list[str]:
    filters = [{"Key": key, "Values": [value]} for key, value in service.tags().items()]
    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=filters)
    return [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]


def _asked(service: Service) -> Iterator[str]:
    """Yield what the services themselves list outside the stacks: they know their tags before the tagging API does."""
    region = settings.AWS_REGION
    for kind in acm.KINDS:
        yield from (str(one["CertificateArn"]) for one in acm.ours(service, kind))
    for image in ami.all_of(service):
        yield f"arn:aws:ec2:{region}::image/{image.id}"
    for snapshot in ami.lone_snapshots(service):
        yield f"arn:aws:ec2:{region}::snapshot/{snapshot}"
    yield from (arn for _, arn in log_groups(service))
    if budget.find(service):
        yield budget.arn(service)


def _objects(bucket: str) -> str:
    try:
        number = sum(1 for _ in aws.s3().Bucket(bucket).objects.limit(_MANY + 1))
    except aws.client("s3").exceptions.NoSuchBucket:
        return ""
    return f"photos and results: {f'more than {_MANY:,}' if number > _MANY else f'{number:,}'}"


def _items(table: str) -> str:
    dynamodb = aws.client("dynamodb")
    try:
        number = dynamodb.describe_table(TableName=table)["Table"]["ItemCount"]
    except dynamodb.exceptions.ResourceNotFoundException:
        return ""
    # DynamoDB updates this count every six hours.
    return f"predictions: about {number:,}"


def _letters(url: str) -> str:
    sqs = aws.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    try:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    except sqs.exceptions.QueueDoesNotExist:
        return ""
    return f"dead letters: {sum(int(attributes[name]) for name in names):,}"
