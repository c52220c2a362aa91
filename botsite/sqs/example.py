"""A complete app; run with `celery -A sqs.example worker`, after copying the folder as `sqs` next to your own code."""

import os
from pathlib import Path

from celery import Celery

from . import RECEIVING, Options, install, settings  # In your code: `from sqs import ...`.

QUEUES = {"words": os.environ["QUEUE_URL"]}
OPTIONS = Options(liveness_file=Path("alive"), longest_job_seconds=60)

app = Celery("example")
app.conf.update(settings("us-east-1", QUEUES, OPTIONS), worker_concurrency=8)
install(app)


@app.task(name="write")
def write(word: str) -> None:
    """Append a word to a file; safe to run twice, since SQS delivers at least once."""
    try:
        with Path("words").open("a") as file:
            file.write(f"{word}\n")
    except OSError as error:
        RECEIVING.failed(error)  # Not the word's fault: after a few of these, pause receiving.
        raise  # The message comes back, with growing delays.
    RECEIVING.worked()


if __name__ == "__main__":
    write.delay("hello")
