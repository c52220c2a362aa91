"""Count what people have stored in a service, cheaply: for somebody who is about to delete it."""

from botsite import aws
from deploy import stacks
from deploy.cfn import cloudformation

# Counting on would take a request for each thousand, and change nobody's mind.
_MANY = 10_000


def lines(prefix: str) -> list[str]:
    """Return how much there is of each kind, a line each; a kind that is gone, with its stack or by hand, has none."""
    outputs: dict[str, str] = {}
    for part in ("storage", "queue"):
        stack = cloudformation.describe(stacks.name(prefix, part))
        outputs |= stack.outputs if stack else {}
    counted = (("ImagesBucketName", _objects), ("PredictionsTableName", _items), ("JobsDlqUrl", _letters))
    found = [count(outputs[name]) for name, count in counted if name in outputs]
    return [line for line in found if line]


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
    # DynamoDB counts every six hours.
    return f"predictions: about {number:,}"


def _letters(url: str) -> str:
    sqs = aws.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    try:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    except sqs.exceptions.QueueDoesNotExist:
        return ""
    return f"dead letters: {sum(int(attributes[name]) for name in names):,}"
