"""Serve each emulated instance its metadata, as http://169.254.169.254 does on EC2 (IMDSv2, token required).

One server serves all instances. The endpoint of each ends in its id, and a token is valid for one instance only.
"""

import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from deploy.local.autoscaling.credentials import RoleCredentials

log = structlog.get_logger()

_TOKEN_MAX_SECONDS = 21600
_TTL = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 - the name of a header


@dataclass(eq=False)
class Machine:
    """What an instance can learn about itself. `lifecycle_state` is the one its group wants.

    `notices` holds what EC2 announces to a Spot instance, by path: spot/instance-action two minutes before it takes the
    instance back, and events/recommendations/rebalance if it may soon.
    """

    instance_id: str
    zone: str
    instance_type: str
    role_arn: str
    lifecycle_state: str = "InService"
    notices: dict[str, str] = field(default_factory=dict)
    credentials: RoleCredentials = field(init=False, repr=False)
    _tokens: dict[str, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.credentials = RoleCredentials(self.role_arn, self.instance_id)

    def issue_token(self, seconds: int) -> str:
        """Return a token that is valid for so many seconds."""
        token = secrets.token_urlsafe(32)
        self._tokens[token] = time.monotonic() + seconds
        return token

    def knows(self, token: str | None) -> bool:
        """Return whether this is a valid token of this machine."""
        return token is not None and self._tokens.get(token, 0.0) > time.monotonic()

    def get(self, path: str) -> str | None:
        """Return the value under latest/meta-data/, None if unknown; raise as boto3 does if STS refuses."""
        role = self.credentials.role
        if path == f"iam/security-credentials/{role}":
            return json.dumps(self.credentials.current())
        return {
            "instance-id": self.instance_id,
            "instance-type": self.instance_type,
            "placement/availability-zone": self.zone,
            "placement/region": self.zone[:-1],
            "iam/security-credentials": role,
            "autoscaling/target-lifecycle-state": self.lifecycle_state,
            **self.notices,
        }.get(path)


class MetadataService:
    """The metadata server of all machines of this process."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self._server.serve_forever, name="imds", daemon=True).start()

    def add(self, machine: Machine) -> str:
        """Serve a machine; return its endpoint, for AWS_EC2_METADATA_SERVICE_ENDPOINT."""
        self._server.machines[machine.instance_id] = machine
        return f"http://127.0.0.1:{self._server.server_port}/{machine.instance_id}"

    def remove(self, machine: Machine) -> None:
        """Stop serving a machine."""
        self._server.machines.pop(machine.instance_id, None)

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    # Many processes may start, and ask, at once.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.machines: dict[str, Machine] = {}
        super().__init__(address, handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_PUT(self) -> None:
        """Issue a token."""
        machine, path = self._split()
        ttl = self.headers.get(_TTL, "")
        if machine is None or path != "api/token":
            self._say(HTTPStatus.NOT_FOUND)
        elif "X-Forwarded-For" in self.headers:
            # EC2 refuses requests that came through a proxy.
            self._say(HTTPStatus.FORBIDDEN)
        elif not (ttl.isdecimal() and len(ttl) <= 5 and 1 <= int(ttl) <= _TOKEN_MAX_SECONDS):
            self._say(HTTPStatus.BAD_REQUEST)
        else:
            self._say(HTTPStatus.OK, machine.issue_token(int(ttl)), {_TTL: ttl})

    def do_GET(self) -> None:
        """Answer a request with a valid token."""
        machine, path = self._split()
        if machine is None:
            self._say(HTTPStatus.NOT_FOUND)
        elif not machine.knows(self.headers.get(_TOKEN)):
            self._say(HTTPStatus.UNAUTHORIZED)
        elif not path.startswith("meta-data/"):
            self._say(HTTPStatus.NOT_FOUND)
        else:
            self._look_up(machine, path.removeprefix("meta-data/"))

    def _look_up(self, machine: Machine, path: str) -> None:
        try:
            found = machine.get(path.rstrip("/"))
        except (ClientError, BotoCoreError) as error:
            log.warning("role_not_assumed", instance_id=machine.instance_id, role=machine.role_arn, error=str(error))
            self._say(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._say(HTTPStatus.NOT_FOUND if found is None else HTTPStatus.OK, found or "")

    def _split(self) -> tuple[Machine | None, str]:
        """Return the machine named in the path, and what follows /latest/."""
        instance_id, _, path = self.path.lstrip("/").partition("/latest/")
        return self.server.machines.get(instance_id), path

    def _say(self, status: HTTPStatus, text: str = "", headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: every process asks every few seconds."""
