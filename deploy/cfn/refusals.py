"""Tell a refusal of AWS from a failure: which permission was missing."""

import re

from botocore.exceptions import ClientError

DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized")


def denied_action(error: BaseException | None) -> str:
    """Return the action that these credentials may not take ("sqs:SendMessage"); empty if that was not the reason.

    The refusal may be the cause of an error that says what was wanted.
    """
    while error is not None and not isinstance(error, ClientError):
        error = error.__cause__
    if error is None or error.response["Error"].get("Code", "") not in DENIED:
        return ""
    named = re.search(r"not authorized to perform: ([\w-]+:\w+)", error.response["Error"].get("Message", ""))
    return named[1] if named else str(error.operation_name)
