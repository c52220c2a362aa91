"""The worker as Celery and kombu come: their defaults, and the same work as the hand-written loop's.

    celery -A tests.bench.defaults worker

Only what cannot be left out is set: the transport, the queue, the region.
"""

import os
from typing import Any

from celery import Celery

from . import latency  # noqa: F401 - importing it gives the worker a region's latencies

# The process that sends the jobs has the product's app as its current one.
app = Celery("defaults", broker="sqs://", set_as_current=False)
app.conf.broker_transport_options = {
    "region": os.environ["AWS_REGION"],
    "predefined_queues": {"celery": {"url": os.environ["JOBS_QUEUE_URL"]}},
}


@app.task(name="detect")  # type: ignore[untyped-decorator]
def detect(job: dict[str, Any]) -> None:
    """Answer one photo."""
    # Here and not above: whoever sends jobs needs no model, and the pool's processes load their own.
    from . import loop

    loop.answer(job)
