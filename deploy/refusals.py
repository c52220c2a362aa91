"""Tell a refusal of AWS from a failure: which permission was missing."""

import re

from botocore.exceptions import BotoCoreError, ClientError

DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized")


def denied_action(error: ClientError | BotoCoreError) -> str:
    """Return the action that these credentials may not take ("sqs:SendMessage"); empty if that was not the reason."""
    if not isinstance(error, ClientError) or error.response["Error"].get("Code", "") not in DENIED:
        return ""
    named = re.search(r"not authorized to perform: ([\w-]+:\w+)", error.response["Error"].get("Message", ""))
    return named[1] if named else str(error.operation_name)
