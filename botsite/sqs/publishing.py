"""Publish messages, each in one request, as the options of kombu's own transport for SQS say."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, cast

import botocore.session
from boto3.session import Session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from kombu.asynchronous.aws.sqs.message import AsyncMessage
from kombu.transport import SQS
from kombu.utils.json import dumps

from . import large, later
from .batches import batch_of, size_of
from .options import Options

# A session of STS lasts for 15 minutes at least; botocore would ask for the next one all that time.
_REFRESH_SECONDS, _REFRESH_NOW_SECONDS = 300, 60
_LONGEST_DELAY_SECONDS = 900  # SQS's own limit.


class Publishing(SQS.Channel):
    """The half of a channel that sends."""

    options: Options

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        """Send a message; a task with an ETA is hidden by SQS until then, or for the first 15 minutes of that time."""
        properties = message.get("properties") or {}
        request: dict[str, Any] = {}
        if attributes := properties.pop("message_attributes", None):
            request["MessageAttributes"] = attributes
        # On a standard queue, SQS is fair between groups.
        if group := properties.get("MessageGroupId"):
            request["MessageGroupId"] = group
        delay = _delay_seconds(message.get("headers") or {}, properties, self.options.longest_delay_seconds)
        if queue.endswith(".fifo"):
            request |= _fifo(queue, message, delay)
        elif delay:
            request["DelaySeconds"] = delay
        # A retry has the headers of the message that is tried again.
        (message.get("headers") or {}).pop(large.HEADER, None)
        request["MessageBody"] = self._encoded(message)
        if self.options.large_bucket and size_of(request) > self.options.large_bytes:
            request["MessageBody"] = self._encoded(self.store.put(message))
        client, url = self.client_of(queue), self._new_queue(queue)
        if batch := batch_of(self.connection.client):
            batch.add(str((message.get("headers") or {}).get("id")), client, url, request)
        else:
            client.send_message(QueueUrl=url, **request)

    def _encoded(self, message: dict[str, Any]) -> str:
        body: str = dumps(message)
        return str(AsyncMessage().encode(body)) if self.sqs_base64_encoding else body

    # Clients. A queue may have a region and credentials of its own.

    def client_of(self, queue: str) -> Any:
        """Return the client for a queue, which others use too."""
        return self.sqs(queue=self.canonical_queue_name(queue))

    @cached_property
    def store(self) -> large.Store:
        """Return where long bodies are; `Options.large_bucket` names it."""
        keys: Any = {"aws_access_key_id": self.conninfo.userid, "aws_secret_access_key": self.conninfo.password}
        role = self.transport_options.get("sts_role_arn")
        session = self._session_of(role) if role else Session(**keys)
        config = self._common.merge(Config(retries={"total_max_attempts": 2}))
        client = session.client("s3", region_name=self.region, config=config)
        return large.Store(client, str(self.options.large_bucket))

    def new_client_of(self, queue: str, config: Config) -> Any:
        """Return a client for a queue that is configured otherwise."""
        own = self.predefined_queues.get(self.canonical_queue_name(queue), {})
        region = own.get("region", self.region)
        if role := self._role_of(own):
            return self._client(self._session_of(role), region, config)
        # Mostly None: boto3 finds the credentials.
        key, secret = self.conninfo.userid, self.conninfo.password
        return self.new_sqs_client(
            region, own.get("access_key_id", key), own.get("secret_access_key", secret), config=config
        )

    def new_sqs_client(
        self,
        region: str,
        access_key_id: str | None,
        secret_access_key: str | None,
        session_token: str | None = None,
        config: Config | None = None,
    ) -> Any:
        """Return a new client; kombu calls this, too."""
        keys: Any = {"aws_access_key_id": access_key_id, "aws_secret_access_key": secret_access_key}
        return self._client(Session(**keys, aws_session_token=session_token), region, config)

    def _client(self, session: Session, region: str, config: Config | None = None) -> Any:
        return session.client(
            "sqs",
            region_name=region,
            config=self._common.merge(config) if config else self._common,
            use_ssl=self.is_secure is not False,
            endpoint_url=self.endpoint_url,
        )

    @property
    def _common(self) -> Config:
        return Config(**(self.transport_options.get("client-config") or {}))

    @cached_property
    def endpoint_url(self) -> str | None:
        """Return the option `endpoint_url`, or the host of the broker's URL; None leaves it to boto3."""
        if url := self.transport_options.get("endpoint_url"):
            return str(url)
        host, port = self.conninfo.hostname, self.conninfo.port
        return f"{'https' if self.is_secure else 'http'}://{host}{f':{port}' if port else ''}" if host else None

    # Roles: the option `sts_role_arn`, of all predefined queues or of one.

    def sqs(self, queue: str | None = None) -> Any:
        """Return a client whose credentials renew themselves: kombu's end, and threads hold on to their client."""
        own = self.predefined_queues.get(queue, {})
        if not (role := self._role_of(own)):
            return super().sqs(queue)
        if queue not in self._predefined_queue_clients:
            client = self._client(self._session_of(role), own.get("region", self.region))
            self._predefined_queue_clients[queue] = client
        return self._predefined_queue_clients[queue]

    def _role_of(self, predefined: Mapping[str, Any]) -> str | None:
        """Return the role of a predefined queue; other queues have none."""
        role = predefined.get("sts_role_arn", self.transport_options.get("sts_role_arn"))
        return str(role) if predefined and role else None

    @cached_property
    def _role_sessions(self) -> dict[str, Session]:
        return {}

    def _session_of(self, role: str) -> Session:
        if role not in self._role_sessions:
            assume = partial(self._assumed, role)
            session = botocore.session.get_session()
            cast(Any, session)._credentials = RefreshableCredentials.create_from_metadata(
                metadata=assume(),
                refresh_using=assume,
                method="sts-assume-role",
                advisory_timeout=_REFRESH_SECONDS,
                mandatory_timeout=_REFRESH_NOW_SECONDS,
            )
            self._role_sessions[role] = Session(botocore_session=session)
        return self._role_sessions[role]

    def _assumed(self, role: str) -> dict[str, str]:
        options = self.transport_options
        seconds = options.get("sts_token_timeout", 900)
        sts = Session().client("sts", region_name=self.region)
        found = sts.assume_role(RoleArn=role, RoleSessionName="Celery", DurationSeconds=seconds)
        answer = found["Credentials"]
        ends = answer["Expiration"] - timedelta(seconds=options.get("sts_token_buffer_time", 0))
        return {
            "access_key": answer["AccessKeyId"],
            "secret_key": answer["SecretAccessKey"],
            "token": answer["SessionToken"],
            "expiry_time": ends.isoformat(),
        }


def _delay_seconds(headers: Mapping[str, Any], properties: Mapping[str, Any], longest: int) -> int:
    """Return the delay that a task's ETA, or kombu's option `delay_seconds` (also `DelaySeconds`), asks for."""
    asked = properties.get("delay_seconds", properties.get("DelaySeconds"))
    if asked is None:
        return later.delay_seconds(later.due_at(headers), longest)
    if not 0 <= int(asked) <= _LONGEST_DELAY_SECONDS:
        raise ValueError(f"SQS takes a delay_seconds of 0 to {_LONGEST_DELAY_SECONDS}, not {asked}: use countdown")
    return int(asked)


def _fifo(queue: str, message: Mapping[str, Any], delay: int) -> dict[str, str]:
    """Return what a FIFO queue needs: the group, and an id by which SQS drops what is sent twice."""
    if delay:
        raise ValueError(
            f"{queue} is a FIFO queue, and SQS delays none of its messages: send the task to a standard queue, or "
            "without countdown and eta. A task that raises is tried again on either."
        )
    properties, headers = message.get("properties") or {}, message.get("headers") or {}
    # The same task may be sent again by its own retry.
    ours = f"{headers.get('id') or uuid.uuid4()}-{headers.get('retries') or 0}"
    return {
        "MessageGroupId": properties.get("MessageGroupId", "default"),
        "MessageDeduplicationId": properties.get("MessageDeduplicationId", ours),
    }
