"""taskiq on taskiq-aio-sqs; `python -m taskiq_app` sends."""

import asyncio

from taskiq_aio_sqs import SQSBroker
from work import send_as_told, told, work

broker = SQSBroker(
    told["queue_url"].rpartition("/")[2], max_number_of_messages=10, wait_time_seconds=10, enable_heartbeat=True
)
task = broker.task(task_name="work")(work)


async def main() -> None:
    """Send what the arguments name."""
    await broker.startup()
    sent: list[tuple[int, float]] = []
    send_as_told(lambda number, seconds: sent.append((number, seconds)))
    for number, seconds in sent:
        await task.kiq(number, seconds)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
