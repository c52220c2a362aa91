"""Post an update to the bot's webhook and read its response."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass

import aiohttp

from .calls import Call

# In a response to an update, Telegram ignores methods that read or that change the webhook.
_NOT_AS_ANSWER = ("get", "setwebhook", "deletewebhook", "close", "logout")
_CONNECT_SECONDS = 10


@dataclass(frozen=True)
class WebhookConfig:
    """Where updates go; `tls` trusts the certificate that setWebhook uploaded."""

    url: str
    secret_token: str = ""
    max_connections: int = 40
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Answer:
    """The webhook's response; status 0 and an error if none came."""

    status: int = 0
    error: str = ""
    retry_after: int = 0
    call: Call | None = None

    @property
    def accepted(self) -> bool:
        """Return whether Telegram counts the update as delivered."""
        return 200 <= self.status <= 299


class Poster:
    """The connections to the webhook, kept open between updates."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def post(self, config: WebhookConfig, body: bytes, idle_seconds: float) -> Answer:
        """Post an update; the webhook fails if it is silent for `idle_seconds`."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        headers = {"Content-Type": "application/json"}
        if config.secret_token:
            headers["X-Telegram-Bot-Api-Secret-Token"] = config.secret_token
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_read=idle_seconds)
        request = self._session.post(
            config.url, data=body, headers=headers, timeout=timeout, allow_redirects=False, ssl=config.tls or True
        )
        try:
            async with request as response:
                return _read_answer(response, await response.read())
        except TimeoutError:
            return Answer(error="Read timeout expired")
        except aiohttp.ClientSSLError as error:
            return Answer(error=f"SSL error {{{error}}}")
        except aiohttp.ClientConnectorError:
            return Answer(error="Connection refused")
        except aiohttp.ClientError:
            return Answer(error="Webhook connection closed")

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()
            self._session = None


def _read_answer(response: aiohttp.ClientResponse, body: bytes) -> Answer:
    if 200 <= response.status <= 299:
        return Answer(response.status, call=_answered_call(body))
    retry_after = response.headers.get("Retry-After", "")
    return Answer(
        response.status,
        f"Wrong response from the webhook: {response.status} {response.reason}",
        int(retry_after) if retry_after.isdigit() else 0,
    )


def _answered_call(body: bytes) -> Call | None:
    """Return the method call in a webhook's response, if any."""
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    method = fields.pop("method", "") if isinstance(fields, dict) else ""
    if not isinstance(method, str) or not method or method.casefold().startswith(_NOT_AS_ANSWER):
        return None
    return Call(method, fields)
