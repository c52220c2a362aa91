"""Give this process the latencies of a region, and count its receives; importing it is enough.

A worker gets it by `celery ... -I tests.bench.latency`, so that the product knows nothing of it. The wait is a
sleep before a request is sent, in the thread that sends it: it costs no CPU, where a proxy would share the cores.
"""

import json
import os
import time
from typing import Any

from botocore import handlers

LATENCY_VARIABLE = "BENCH_LATENCY_MS"  # {"s3": 25, ...}: milliseconds added to each request of a service.
RECEIVES_VARIABLE = "BENCH_RECEIVES_FILE"  # Grows by one byte a ReceiveMessage.

_latency_ms: dict[str, float] = json.loads(os.environ.get(LATENCY_VARIABLE) or "{}")
_receives = os.environ.get(RECEIVES_VARIABLE)


def _wait(event_name: str, **_: Any) -> None:
    service, operation = event_name.split(".")[1:3]
    if operation == "ReceiveMessage" and _receives:
        with open(_receives, "ab", buffering=0) as file:  # noqa: PTH123 - unbuffered: whoever counts reads the size
            file.write(b".")
    if service in _latency_ms:
        time.sleep(_latency_ms[service] / 1000)


# Every botocore session registers these when it is made, also those of kombu's channels.
handlers.BUILTIN_HANDLERS.append(("before-send", _wait))
