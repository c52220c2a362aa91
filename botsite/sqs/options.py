"""Celery's settings for SQS, and the numbers that an app may change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kombu import Queue


@dataclass(frozen=True)
class Options:
    """What the transport and its worker steps can be told; found in `broker_transport_options["sqs"]`."""

    # Touched every 2 s while all is well, and removed at the end.
    liveness_file: Path | None = None
    # A job that takes longer hangs: its worker ends, and its message comes back.
    longest_job_seconds: float = 900.0
    # Where /healthz and /metrics are; None opens no port.
    monitor_port: int | None = None
    # "0.0.0.0" in a container, where others ask.
    monitor_host: str = "127.0.0.1"
    # Queues, the most urgent first: each is asked only while those before it are empty. With a number other than 0, it
    # is also asked for one message after so many of theirs.
    priorities: Mapping[str, int] = field(default_factory=dict)
    # A bucket for what is longer than SQS takes; None has such a task refused. Give it a lifecycle rule.
    large_bucket: str | None = None
    # What is longer, in bytes with its attributes, goes there; SQS's own limit.
    large_bytes: int = 1_048_576
    # By queue, the task that runs with what others than Celery send there: the body is its argument.
    raw_tasks: Mapping[str, str] = field(default_factory=dict)
    # Used only until SQS has told the queue's own; SQS's default.
    visibility_timeout: int = 30
    # A message that was rejected waits so long the first time, and twice as long each time after that.
    first_retry_seconds: int = 5
    # But no longer than this: whoever sent it may still be waiting.
    longest_retry_seconds: int = 60
    # After so many jobs in a row that failed because of an outage, receiving pauses; one alone may be bad luck.
    failures_before_pause: int = 3
    # The first pause; each is twice as long as the last, and ends with one message as a probe.
    first_pause_seconds: float = 5.0
    # The longest pause: so long may an outage seem to last after it is over.
    longest_pause_seconds: float = 60.0
    # The longest wait after a failed request: short, so that the worker is back soon after SQS is.
    longest_backoff_seconds: float = 5.0
    # So long the worker waits for more messages to share a request, each of which costs 1.5 ms of CPU and its price.
    gather_seconds: float = 0.1
    # So long a deletion that fails is tried again, with its message hidden; then that comes back.
    settle_seconds: float = 30.0
    # What is due later than this is sent again until it is; SQS holds no message for longer than 900 s.
    longest_delay_seconds: int = 900
    # With `priorities`, a queue counts as empty once SQS has left a receive unanswered for so long.
    listen_seconds: float = 0.3
    # The watchdog's: the event loop is stuck if its last turn is older.
    loop_seconds: float = 15.0
    # The watchdog's: receiving is stuck if SQS's last answer is older; more than twice the long poll.
    receive_seconds: float = 45.0
    # The watchdog's: the worker ends after so long in trouble, and something starts it again.
    stalled_seconds: float = 60.0

    def retry_seconds(self, receives: int) -> int:
        """Return how long a message that has failed waits after so many receives."""
        return min(self.first_retry_seconds * 2 ** (receives - 1), self.longest_retry_seconds)


def settings(region: str, queues: Mapping[str, str], options: Options | None = None) -> dict[str, Any]:
    """Return Celery's settings for logical queue names and the URLs behind them."""
    return {
        # No credentials and no host: boto3's chain and AWS_ENDPOINT_URL decide.
        "broker_url": "sqs://",
        "broker_transport_options": _transport_options(region, queues, options or Options()),
        "task_queues": [Queue(name, routing_key=name) for name in queues],
        "task_default_queue": next(iter(queues), "celery"),
        # A misspelt queue fails when it is named, instead of waiting for a consumer that never comes.
        "task_create_missing_queues": False,
    } | ours()


def ours() -> dict[str, Any]:
    """Return the settings that make an app safe on SQS, whatever its queues."""
    return {
        "broker_transport": f"{__package__}:Transport",
        "broker_connection_retry_on_startup": True,
        # The message is deleted when the work is done. A worker that dies gives it back by dying.
        "task_acks_late": True,
        # What raises is redelivered, and a dead letter after maxReceiveCount, instead of deleted.
        "task_acks_on_failure_or_timeout": False,
        # What kills its child process is redelivered, too, and at once.
        "task_reject_on_worker_lost": True,
        "worker_pool": "threads",
        # No message in reserve: what is received is in work.
        "worker_prefetch_multiplier": 1,
        # Remote control and events do not work on SQS; asking for them creates queues that stay.
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
    }


def _transport_options(region: str, queues: Mapping[str, str], options: Options) -> dict[str, Any]:
    return {
        "region": region,
        # Known URLs need neither ListQueues nor CreateQueue, so a role can be limited to what it uses.
        "predefined_queues": {name: {"url": url} for name, url in queues.items()},
        # Ten seconds make six requests an idle minute; a message ends the wait at once.
        "wait_time_seconds": 10,
        # Sending runs in a web request: it should fail early, not after botocore's 60 s and five attempts.
        "client-config": {
            "connect_timeout": 2,
            "read_timeout": 5,
            "tcp_keepalive": True,
            "retries": {"mode": "standard", "total_max_attempts": 3},
        },
        # Both encodings off leave plain JSON in the queue: readable in the dead-letter queue, and 44 % smaller.
        "sqs_base64_encoding": False,
        "body_encoding": None,
        "sqs": options,
    }
