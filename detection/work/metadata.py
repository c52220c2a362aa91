"""Read the instance metadata (IMDSv2) of the machine that this process runs on, if it is an EC2 instance."""

import os

import urllib3

_TOKEN_SECONDS = 21600
_ATTEMPTS = 2


class Metadata:
    """The instance metadata service at AWS_EC2_METADATA_SERVICE_ENDPOINT."""

    def __init__(self) -> None:
        self._base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=1, read=2), retries=False)
        self._token = ""

    def on_instance(self) -> bool:
        """Return whether this machine is an EC2 instance."""
        if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            return False
        return any(self.get("instance-id") for _ in range(_ATTEMPTS))

    def get(self, path: str) -> str | None:
        """Return the text at a path below latest/meta-data/, empty if it is missing; None if there is no answer."""
        try:
            if not self._token:
                self._token = self._new_token()
            answer = self._pool.request(
                "GET", f"{self._base}/latest/meta-data/{path}", headers={"X-aws-ec2-metadata-token": self._token}
            )
        except urllib3.exceptions.HTTPError:
            return None
        if answer.status == 401:
            self._token = ""
        if answer.status == 404:
            return ""
        return answer.data.decode().strip() if answer.status == 200 else None

    def _new_token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        answer = self._pool.request("PUT", f"{self._base}/latest/api/token", headers=headers)
        return answer.data.decode() if answer.status == 200 else ""
