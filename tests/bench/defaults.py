"""The worker as Celery and kombu come: their defaults, and the same work as the hand-written loop's.

    celery -A tests.bench.defaults worker

Only what cannot be left out is set: the transport, the queue, the region.
"""

import os
from typing import Any

from celery import Celery

from tests.bench import loop

app = Celery("defaults", broker="sqs://")
app.conf.broker_transport_options = {
    "region": os.environ["AWS_REGION"],
    "predefined_queues": {"celery": {"url": os.environ["JOBS_QUEUE_URL"]}},
}


@app.task(name="detect")
def detect(**job: Any) -> None:
    """Answer one photo."""
    loop.answer(job)
