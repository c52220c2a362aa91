"""Measure what the admin's list of jobs costs in a full table: its pages, the preview of all that match, an export.

    python -m tests.bench.admin_list [--items 100000] [--pages 1 500]

The site runs in this process: middleware, login, view and template as in production, DynamoDB over a socket. Items are
spread over 30 days, and every thousandth has failed; a page far down is reached as by an operator, by the link "older"
of each page before it. DynamoDB is ministack with indexes that are in order (ordered_emulator.py); as it comes, it goes
through the whole table for each page.
"""

import argparse
import asyncio
import html
import os
import re
import resource
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django

FOLDER = Path(__file__).resolve().parents[2] / "var" / "bench" / "admin"
DAYS = 30
RUNS = 5
_OLDER = re.compile(r'rel="next" href="([^"]+)"')
# Requests, read units, and milliseconds: in all, of waiting for DynamoDB, and of the site's CPU.
Opened = tuple[int, float, float, float, float]
_JOB = re.compile(r'name="id" value="([^"]+)"')


@dataclass
class Meter:
    """What was asked of DynamoDB, and how long it took (seconds)."""

    queries: int = 0
    read_units: float = 0
    seconds: float = 0
    _asked_at: float = 0

    def attach(self, events: Any) -> None:
        """Listen to a client's calls."""
        for operation in ("Query", "BatchGetItem"):
            events.register(f"provide-client-params.dynamodb.{operation}", self._ask)
        events.register("before-call.dynamodb", self._before)
        events.register("after-call.dynamodb", self._after)

    def _ask(self, params: dict[str, Any], **rest: Any) -> dict[str, Any]:
        # boto3 writes its own form into what it is given, and a paginator gives the same again.
        return deepcopy(params) | {"ReturnConsumedCapacity": "TOTAL"}

    def _before(self, **rest: Any) -> None:
        self._asked_at = time.perf_counter()

    def _after(self, parsed: dict[str, Any], **rest: Any) -> None:
        self.seconds += time.perf_counter() - self._asked_at
        self.queries += 1
        # A look-up of many items tells it by table.
        consumed = parsed.get("ConsumedCapacity", [])
        each = consumed if isinstance(consumed, list) else [consumed]
        self.read_units += sum(one.get("CapacityUnits", 0) for one in each)


def main() -> None:
    """Fill a table, then open pages of its list, preview a retry and a resend, and export all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000, help="jobs in the table (default %(default)s)")
    parser.add_argument("--pages", type=int, nargs="+", default=[1, 500], help="which to open (default: 1 500)")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "logins.sqlite3").unlink(missing_ok=True)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "botsite.settings",
        "DATABASE_URL": f"sqlite:///{FOLDER / 'logins.sqlite3'}",
        "DJANGO_HTTPS": "false",
        "DJANGO_ALLOWED_HOSTS": "localhost,testserver",
        "LOG_FORMAT": "json",
    }
    django.setup()
    with full_table(options.items):
        for line in _measure(options.pages):
            sys.stdout.write(line + "\n")


@contextmanager
def full_table(count: int, days: float = DAYS, *, timed: bool = False) -> Iterator[None]:
    """Start the local AWS with so many answered jobs in the service's table, `timed` with when they were answered."""
    from deploy.local.processes import BOTTOM, Child, Children
    from deploy.local.stack import LocalStack

    class Ordered(Children):
        """Processes, of which the emulator is the ordered one."""

        def start(self, name: str, command: Sequence[str], env: Mapping[str, str], layer: int = BOTTOM) -> Child:
            return super().start(name, [sys.executable, "-m", "tests.bench.ordered_emulator"], env, layer)

    stack = LocalStack(FOLDER / "stack", "")
    stack.children = Ordered(FOLDER / "logs")
    try:
        stack.start_aws()
        stack.provision()
        stack.adopt("PREDICTIONS_TABLE", "IMAGES_BUCKET", "JOBS_QUEUE_URL")
        _fill(count, days, timed)
        yield
    finally:
        stack.children.stop()


def _fill(count: int, days: float, timed: bool) -> None:
    from django.conf import settings

    from botsite import aws
    from detection.record import items
    from detection.record.schemas import Delivery, Detection, Prediction, Status

    newest = datetime.now(UTC)
    times = [newest - timedelta(days=days) * number / count for number in range(count)]

    def put(first: int) -> None:
        puts = [
            Prediction(
                f"{n:032x}",
                n % 50,
                n,
                f"photos/{n:032x}",
                Status.SUCCEEDED if n % 1000 else Status.FAILED,
                Delivery.DELIVERED,
                created_at=at,
                finished_at=at if timed else None,
                delivered_at=at if timed else None,
                detections=(Detection("person", 0.9, 0.5, 0.5, 0.1, 0.1),) * (n % 5),
                photo_bytes=100_000,
            )
            for n, at in enumerate(times[first : first + 25], first)
        ]
        requests = [{"PutRequest": {"Item": items.write(each)}} for each in puts]
        aws.dynamodb().batch_write_item(RequestItems={settings.PREDICTIONS_TABLE: requests})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(0, count, 25)))


def _measure(pages: Sequence[int]) -> Iterator[str]:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client

    from botsite import aws

    call_command("migrate", verbosity=0)
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser("bench"))
    meter = Meter()
    meter.attach(aws.dynamodb().meta.events)
    yield "| what | requests | read units | server time | of it waiting for DynamoDB | CPU of the site |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for page, address in _walk(client, max(pages)):
        if page in pages:
            yield _row(f"page {page}", [_open(client, address, meter, jobs=50) for _ in range(RUNS + 1)][1:])
    for name in ("retry", "resend"):
        address = client.get(f"/admin/detection/job/{name}/all/?delivery=delivered").headers["location"]
        yield _row(f"preview of {name}", [_open(client, address, meter) for _ in range(RUNS + 1)][1:])
    yield asyncio.run(_export())


async def _export() -> str:
    """Export everything as a site does; return how long it took, and by how much it made the process grow."""
    from django.contrib.auth.models import User
    from django.test import AsyncClient

    client: Any = AsyncClient()
    await client.aforce_login(await User.objects.aget(username="bench"))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    answer = await client.get("/admin/detection/job/export.csv")
    rows, size = -1, 0
    async for part in answer.streaming_content:
        rows, size = rows + part.count(b"\r\n"), size + len(part)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    seconds = time.perf_counter() - started
    return f"\nexport: {rows} jobs, {size / 1e6:.1f} MB of CSV in {seconds:.1f} s; the process grew by {grown:.1f} MB"


def _walk(client: Any, to: int) -> Iterator[tuple[int, str]]:
    """Go from page to page; yield the number and the address of each. No job may come twice."""
    address, met = "/admin/detection/job/", set[str]()
    for page in range(1, to + 1):
        yield page, address
        text = client.get(address).content.decode()
        jobs = _JOB.findall(text)
        assert not met & {*jobs}, f"page {page} repeats jobs"
        met.update(jobs)
        older = _OLDER.search(text)
        assert older or page == to, f"page {page} is the last one"
        address = "/admin/detection/job/" + html.unescape(older[1]) if older else ""


def _open(client: Any, address: str, meter: Meter, jobs: int = 0) -> Opened:
    """Open a page; return what it took."""
    meter.queries, meter.read_units, meter.seconds = 0, 0, 0
    started, used = time.perf_counter(), time.process_time()
    answer = client.get(address)
    whole, used = time.perf_counter() - started, time.process_time() - used
    assert answer.status_code == 200
    assert answer.content.count(b'name="id"') == jobs
    return meter.queries, meter.read_units, whole * 1000, meter.seconds * 1000, used * 1000


def _row(what: str, runs: list[Opened]) -> str:
    queries, units, whole, waiting, used = (statistics.median(column) for column in zip(*runs, strict=True))
    return f"| {what} | {queries:.0f} | {units:g} | {whole:.0f} ms | {waiting:.0f} ms | {used:.0f} ms |"


if __name__ == "__main__":
    main()
