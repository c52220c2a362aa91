"""Stand in for a builder: moto launches no instances, so a thread here boots what it was asked to launch.

The user data is run as it is, by bash, with a folder in place of `/`. What a machine has and this one has not (docker,
dnf, systemctl, shutdown, the AWS command line) is stood in for by programs that write down their arguments; the one
called `aws` really speaks to moto's S3.
"""

import base64
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError

from botsite import aws

# What a container of a worker lists of itself, the least of it.
SBOM = '{"components": [{"name": "shapes", "properties": [{"name": "objdet:precision", "value": "fp16"}]}]}'
_RECORD = '#!/bin/sh\necho "$(basename "$0") $*" >> "$DESTDIR/commands"\n'
# A container is healthy at once; killed, it comes back as another. `broken` makes what it names fail.
_DOCKER = (
    _RECORD
    + """
if [ "$1" = "$(cat "$DESTDIR/broken" 2>/dev/null)" ]; then echo "docker $1: it is broken" >&2; exit 1; fi
case $1 in
kill) echo second > "$DESTDIR/container" ;;
exec) cat "$DESTDIR/sbom" ;;
inspect) echo "$(cat "$DESTDIR/container" 2>/dev/null || echo first) healthy" ;;
login) cat > "$DESTDIR/password"; mkdir -p "$DESTDIR/root/.docker" ;;
esac
"""
)
_AWS = """#!{python} -S
import os, sys, urllib.request
if sys.argv[1] == "ecr":
    print("a-password")
else:
    source, target = sys.argv[-2:]
    upload = source == "-"
    url = os.environ["ENDPOINT"] + "/" + (target if upload else source).removeprefix("s3://")
    data = sys.stdin.buffer.read() if upload else None
    # moto wants to see who asks, and checks no signature.
    who = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
    headers = {"Authorization": who, "Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data, headers, method="PUT" if upload else "GET")
    sys.stdout.buffer.write(urllib.request.urlopen(request, timeout=10).read())
"""


class Machine(threading.Thread):
    """Boot the next builder that is launched for `prefix`, in `root`; `commands` is what it ran."""

    def __init__(self, prefix: str, root: Path, endpoint: str, broken: str = "") -> None:
        super().__init__(daemon=True)
        self.root, self._prefix, self._endpoint = root, prefix, endpoint
        self.user_data = ""
        self._stopped = threading.Event()
        tools = {"docker": _DOCKER, "aws": _AWS.replace("{python}", sys.executable)}
        tools |= dict.fromkeys(
            ("dnf", "systemctl", "shutdown", "journalctl", "sync", "fallocate", "mkswap", "swapon"), _RECORD
        )
        (root / "bin").mkdir(parents=True)
        (root / "broken").write_text(broken)
        (root / "sbom").write_text(SBOM)
        for name, text in tools.items():
            path = root / "bin" / name
            path.write_text(text)
            path.chmod(0o755)

    @property
    def commands(self) -> list[str]:
        """Return the commands that the machine ran, in order."""
        return (self.root / "commands").read_text().splitlines()

    def run(self) -> None:
        """Wait for a builder, then run its user data."""
        while not self._stopped.wait(0.02):
            try:
                launched = _running(self._prefix)
            except BotoCoreError:
                continue  # The emulator is slow, or has ended before this machine was told to stop.
            if launched:
                self._boot(launched[0]["InstanceId"])
                return

    def stop(self) -> None:
        """Stop waiting for a builder."""
        self._stopped.set()
        self.join()

    def _boot(self, instance_id: str) -> None:
        answer = aws.client("ec2").describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        self.user_data = base64.b64decode(answer["UserData"]["Value"]).decode()
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        env = {"PATH": path, "DESTDIR": str(self.root), "ENDPOINT": self._endpoint}
        subprocess.run(["bash"], input=self.user_data, text=True, env=env, check=False, capture_output=True)


def _running(prefix: str) -> list[dict[str, Any]]:
    conditions = [
        {"Name": "tag:Project", "Values": [prefix]},
        {"Name": "tag:Purpose", "Values": ["prototype"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    found = aws.client("ec2").describe_instances(Filters=conditions)["Reservations"]
    return [one for group in found for one in group["Instances"]]
