"""A process that only waits for its instance to go into service and to leave it; standard library only, to start fast.

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
    """Look at the lifecycle state: wait for service, then until the instance has to go."""
    hold = [Path(name) for name in sys.argv[1:]]
    headers = {"X-aws-ec2-metadata-token": ask("api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})}
    print("prepared.", flush=True)  # noqa: T201
    wait_for_service(headers, True)
    print("ready.", flush=True)  # noqa: T201
    wait_for_service(headers, False)
    print("finishing.", flush=True)  # noqa: T201
    while any(file.exists() for file in hold):
        time.sleep(0.02)
    print("left.", flush=True)  # noqa: T201


def wait_for_service(headers: dict[str, str], wanted: bool) -> None:
    """Wait until the group wants the instance in service, or does not any more."""
    while (ask("meta-data/autoscaling/target-lifecycle-state", "GET", headers) == "InService") != wanted:
        time.sleep(0.02)


def ask(path: str, method: str, headers: dict[str, str]) -> str:
    """Return what the metadata service answers."""
    request = urllib.request.Request(f"{ENDPOINT}/latest/{path}", method=method, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        text: str = answer.read().decode()
        return text


main()
