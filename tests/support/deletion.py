"""Finish deletions, and look for what is left: in table, bucket, queues, STORAGE_CHAT and this process."""

import json
import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

from django.conf import settings

from botsite import aws, rate_limit
from botsite.bot.incoming import limits
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import predictions, times
from detection.record.deletions import Person
from detection.work import dead_letters, sweep
from tests.support.processes import wait_until

LONG_AGO = timedelta(minutes=-10)


def age(person: Person, by: timedelta = LONG_AGO) -> None:
    """Make a deletion, and the last word of its run, that much older."""
    item = predictions.find_item(person.key)
    assert item
    for name in {"created_at", "started_at", "delivered_at"} & set(item):
        set_(person.key, name, times.text(times.read(item[name]) + by))


def set_(key: str, name: str, value: object) -> None:
    """Change one attribute of an item."""
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": key},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues={":value": value},
    )


def finish(person: Person) -> None:
    """Have the second time come, and wait until it is over."""
    age(person)
    for limit in (rate_limit.chat, rate_limit.guest, rate_limit.stored):
        if predictions.find_item(key := limit(person.chat_id).key):
            set_(key, "next_at", 0)
    wait_until(lambda: sweep.sweep() and "finished_at" in (predictions.find_item(person.key) or {}))


def traces(stack: LocalStack, chat_id: int, *ids: str) -> list[str]:
    """Return where something of a chat or of these photos is: table, bucket, queues, dead letters, this process."""
    # The count for the limits stays, for two days: each deletion would reset them.
    there = {key: item for key, item in table(stack).items() if key != limits.key(chat_id)}
    found = [f"item {key}" for key, item in there.items() if mentions(item, chat_id, *ids)]
    found += [f"object {key}" for key in bucket(stack) if any(each in key for each in ids)]
    found += [f"picture {each.message_id}" for each in storage(stack).messages()]
    if queued(stack):
        found.append("jobs queue")
    found += [f"letter {each.message_id}" for each in dead_letters.look() if mentions(each.body, chat_id, *ids)]
    return found + [f"memory {place}" for place in memory(chat_id, *ids)]


def storage(stack: LocalStack) -> TelegramUser:
    """Return the chat where pictures for guests go first; nobody writes there."""
    return TelegramUser(stack.telegram_url, settings.STORAGE_CHAT)


def clear_storage(stack: LocalStack) -> None:
    """Delete the pictures that other tests have left there."""
    there = storage(stack)
    for each in there.messages():
        there.delete(each.message_id)


def mentions(something: object, chat_id: int, *ids: str) -> bool:
    """Return whether something written holds the chat's id or a photo's."""
    text = json.dumps(something, default=repr)
    return any(each in text for each in (str(chat_id), *ids))


def table(stack: LocalStack) -> dict[str, dict[str, Any]]:
    """Return all items by their keys."""
    pages = aws.dynamodb().get_paginator("scan").paginate(TableName=stack.env["PREDICTIONS_TABLE"])
    return {item["prediction_id"]: item for page in pages for item in page["Items"]}


def bucket(stack: LocalStack) -> set[str]:
    """Return the keys of all objects, of all versions, and of uploads that never ended."""
    s3, where = aws.s3().meta.client, {"Bucket": stack.env["IMAGES_BUCKET"]}
    versions = s3.get_paginator("list_object_versions").paginate(**where)
    kept = {each["Key"] for page in versions for kind in ("Versions", "DeleteMarkers") for each in page.get(kind, ())}
    objects = s3.get_paginator("list_objects_v2").paginate(**where)
    kept |= {each["Key"] for page in objects for each in page.get("Contents", ())}
    return kept | {each["Key"] for each in s3.list_multipart_uploads(**where).get("Uploads", ())}


def queued(stack: LocalStack) -> int:
    """Return how many jobs wait or are in progress."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = stack.env["JOBS_QUEUE_URL"]
    found = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def memory(chat_id: int, *ids: str) -> list[str]:
    """Return where the variables of our modules hold the chat's id or a photo's."""
    ours = [name for name in list(sys.modules) if name.partition(".")[0] in ("botsite", "detection", "metrics")]
    seen: set[int] = set()
    return [name for name in ours if _holds(vars(sys.modules[name]), {chat_id, *ids}, seen)]


def _holds(something: Any, wanted: set[Any], seen: set[int]) -> bool:
    if isinstance(something, int | str):
        return something in wanted
    if id(something) in seen or isinstance(something, type | ModuleType):
        return False
    seen.add(id(something))
    if isinstance(something, dict):
        return any(_holds(each, wanted, seen) for pair in list(something.items()) for each in pair)
    if isinstance(something, list | tuple | set | frozenset) or type(something).__name__ == "deque":
        return any(_holds(each, wanted, seen) for each in list(something))
    ours = type(something).__module__.partition(".")[0] in ("botsite", "detection", "metrics")
    return ours and _holds(getattr(something, "__dict__", {}), wanted, seen)
