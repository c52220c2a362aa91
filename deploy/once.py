"""Make what AWS takes no idempotency token for: when an answer is lost, look before asking again."""

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from botsite import aws

Made = TypeVar("Made")
_ATTEMPTS = 3
# What AWS has just made may not be listed at once.
_LISTED_SECONDS = 5
_THROTTLED = 429


def make(call: Callable[[], Made], found: Callable[[], Made | None]) -> Made:
    """Return what `call` makes, by a client of `aws.once`; `found` returns what a call without an answer made."""
    tries, lost = 0, False
    while True:
        tries += 1
        try:
            return call()
        except (ClientError, HTTPClientError, NoConnectionError) as error:
            # After a lost answer, a refusal may be of a name that this very call has taken.
            lost = lost or _lost(error)
            if not lost:
                raise
            aws.pause(_LISTED_SECONDS)
            if (made := found()) is not None:
                return made
            if tries == _ATTEMPTS:
                raise


def _lost(error: Exception) -> bool:
    """Return whether AWS may do something else when asked again: it said nothing, or that it is not able to now."""
    if not isinstance(error, ClientError):
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or status == _THROTTLED or "Throttl" in error.response["Error"].get("Code", "")
