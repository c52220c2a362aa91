"""Measure what `audit` takes of a service that has answered many photos in a day: time, requests, read units, dollars.

    python -m tests.bench.audit [--items 100000]

The command runs in this process, DynamoDB and S3 over a socket (ministack with indexes in order), the logs in a file as
`--logs` reads them. It is run twice: as things usually are, and after somebody has had everything deleted, when each
photo of before is read to see whose it is. Each photo has a picture in the bucket. Read units are computed from the
items' sizes, as the emulator counts requests. CloudWatch Logs Insights, which no
emulator answers, is left out: it costs $0.005 for each GB of logs, and takes a second or so for each 10,000 photos.
"""

import argparse
import io
import json
import math
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import django

from tests.bench.admin_list import FOLDER, full_table

# In us-east-1: a read unit, and a request that lists objects.
_READ_UNIT, _LIST = 0.125 / 1e6, 0.005 / 1000


def main() -> None:
    """Fill table, bucket and log, and audit them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000, help="photos in a day (default %(default)s)")
    options = parser.parse_args()
    os.environ |= {"DJANGO_SETTINGS_MODULE": "botsite.settings", "LOG_FORMAT": "json", "RESULTS_KEY": "of this bench"}
    django.setup()
    with full_table(options.items, 0.95, timed=True):
        _write_log(options.items)
        _put_pictures(options.items)
        _say("| | photos | seconds | DynamoDB | read units | S3 | dollars |")
        _say("| --- | --- | --- | --- | --- | --- | --- |")
        _say(_audited("nothing deleted"))
        _delete()
        _say(_audited("after a deletion"))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _write_log(count: int) -> None:
    """Write that each photo was taken and answered, with what a site logs with it."""
    from detection.record import times

    lines: list[dict[str, object]] = [
        {"event": "job_sent"},
        {"event": "answer_delivered", "answer_ms": 512, "status": "succeeded"},
    ]
    with (FOLDER / "polybot-1.log").open("w") as log:
        for number in range(count):
            for line in lines:
                about = {
                    "time": times.text(times.now()),
                    "level": "info",
                    "chat_id": 7,
                    "prediction_id": f"{number:032x}",
                }
                log.write(json.dumps(about | line) + "\n")


def _put_pictures(count: int) -> None:
    from django.conf import settings

    from botsite import aws

    def put(number: int) -> None:
        aws.client("s3").put_object(Bucket=settings.IMAGES_BUCKET, Key=f"results/{number:032x}.jpg", Body=b"")

    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(put, range(count)):
            pass


def _delete() -> None:
    """Have somebody without photos delete everything, two hours ago."""
    from django.conf import settings

    from botsite import aws
    from detection.record import deletions, times

    person, then = deletions.Person(99, 99), times.text(times.now(-timedelta(hours=2)))
    deletions.begin(person, question=1)
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": person.key},
        UpdateExpression="SET created_at = :then, finished_at = :then",
        ExpressionAttributeValues={":then": then},
    )


@dataclass
class Spent:
    """What was asked of AWS. `entry` and `item` are the bytes of a photo in the index by time, and in the table."""

    entry: int
    item: int
    requests: Counter[str] = field(default_factory=Counter)
    read_units: float = 0

    def note(self, parsed: dict[str, Any], model: Any, **rest: Any) -> None:
        """Count a request; a read unit reads two times 4 KB that may be a moment old."""
        self.requests[model.name] += 1
        if model.name == "Query":
            self.read_units += max(1, math.ceil(len(parsed["Items"]) * self.entry / 4096)) / 2
        elif model.name == "BatchGetItem":
            found = sum(map(len, parsed["Responses"].values()))
            self.read_units += found * math.ceil(self.item / 4096) / 2


def _audited(what: str) -> str:
    from django.core.management import call_command

    from botsite import aws

    spent, output = _sizes(), io.StringIO()
    for client in (aws.dynamodb(), aws.client("s3")):
        client.meta.events.register("after-call", spent.note, unique_id=what)
    began = time.perf_counter()
    call_command("audit", "--json", "--since", "24h", "--logs", str(FOLDER), stdout=output)
    seconds, photos = time.perf_counter() - began, json.loads(output.getvalue())["photos"]
    lists = spent.requests.pop("ListObjectsV2")
    dollars = spent.read_units * _READ_UNIT + lists * _LIST
    asked = f"{spent.requests.total():,} | {spent.read_units:,.0f} | {lists} | {dollars:.4f}"
    return f"| {what} | {photos:,} | {seconds:.0f} | {asked} |"


def _sizes() -> Spent:
    """Return how large an ordinary photo's item is; the index has all but its boxes."""
    from django.conf import settings

    from botsite import aws

    key = {"prediction_id": f"{4:032x}"}
    item = aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=key)["Item"]
    sizes = {name: len(name) + len(str(value)) for name, value in item.items()}
    return Spent(sum(sizes.values()) - sizes["detections"], sum(sizes.values()))


if __name__ == "__main__":
    main()
