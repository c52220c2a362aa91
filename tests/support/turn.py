"""The turn at a task of upkeep, which tests and the service's own metric worker take from each other."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from django.conf import settings

from botsite import aws
from detection.record import deletions, items, times
from detection.work import task_lease
from tests.support.processes import wait_until


@contextmanager
def held(*tasks: str) -> Iterator[None]:
    """Keep everybody else from these tasks for the length of the block.

    Dead letters are read by two: "bury", and deletions, whose second part "sweep" begins. One that a site is at goes on
    without the sweep, so it is waited for.
    """

    def take() -> ExitStack | None:
        with ExitStack() as stack:
            mine = [stack.enter_context(task_lease.take(task, timedelta(minutes=5))) for task in tasks]
            return stack.pop_all() if all(mine) else None

    turn = wait_until(take)
    assert turn is not None
    with turn:
        wait_until(lambda: not _deletions_in_second_part())
        yield


def _deletions_in_second_part() -> bool:
    second, dead = times.now(-deletions.SECOND_TIME), times.now(-deletions.ABANDONED)
    found = aws.dynamodb().query(
        TableName=settings.PREDICTIONS_TABLE,
        IndexName="by_time",
        KeyConditionExpression="#kind = :kind",
        FilterExpression="attribute_not_exists(finished_at) AND created_at < :second AND started_at > :dead",
        ExpressionAttributeNames={"#kind": items.KIND},
        ExpressionAttributeValues=items.plain({":kind": "deletion", ":second": second, ":dead": dead}),
    )
    return bool(found["Items"])
