"""Wait for AWS, say what is waited for, and ask again where an answer was lost."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from botsite import aws

# Is told what a long piece of work does just now.
Say = Callable[[str], None]
Made = TypeVar("Made")
_ATTEMPTS = 3
# What AWS has just made may not be listed at once.
_LISTED_SECONDS = 5
_THROTTLED = 429


def looks(seconds: float, every_seconds: float) -> Iterator[None]:
    """Yield now and then, for so long: each time, have a look at AWS. A loop's `else` is for what never came."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > deadline:
            return
        aws.pause(every_seconds)


def make_once(call: Callable[[], Made], found: Callable[[], Made | None]) -> Made:
    """Make what AWS takes no idempotency token for: when an answer is lost, look before asking again.

    `call` makes it, by a client of `aws.once`; `found` returns what a call without an answer made.
    """
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
