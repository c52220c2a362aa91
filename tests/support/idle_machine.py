"""A process that only waits for its instance to be terminated; standard library only, to start fast.

    python idle_machine.py [hold]

Told to leave, it exits when there is no file `hold` (any more).
"""

import os
import sys
import time
import urllib.request
from pathlib import Path

ENDPOINT = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]


def main() -> None:
    """Look at the lifecycle state until it says that the instance will go."""
    hold = [Path(name) for name in sys.argv[1:]]
    headers = {"X-aws-ec2-metadata-token": ask("api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})}
    print("ready.", flush=True)  # noqa: T201
    while ask("meta-data/autoscaling/target-lifecycle-state", "GET", headers) != "Terminated":
        time.sleep(0.02)
    print("finishing.", flush=True)  # noqa: T201
    while any(file.exists() for file in hold):
        time.sleep(0.02)
    print("left.", flush=True)  # noqa: T201


def ask(path: str, method: str, headers: dict[str, str]) -> str:
    """Return what the metadata service answers."""
    request = urllib.request.Request(f"{ENDPOINT}/latest/{path}", method=method, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        text: str = answer.read().decode()
        return text


main()
