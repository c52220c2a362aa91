"""Put the bot's token into its secret. It comes from a person's hands or a file descriptor, never from an argument."""

from botocore.exceptions import ClientError

from botsite import aws, logs
from deploy import webhook


def missing(secret_id: str) -> bool:
    """Return whether the secret holds no token yet."""
    try:
        found = aws.client("secretsmanager").get_secret_value(SecretId=secret_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        # The secret is there, made by the template; it has no value.
        return True
    return not found.get("SecretString")


def store(secret_id: str, token: str) -> str:
    """Store a token that Telegram knows, and return the bot's name. Raise TelegramError with what to do otherwise."""
    token = token.strip()
    logs.hide(token)
    name = webhook.bot_name(token)
    aws.client("secretsmanager").put_secret_value(SecretId=secret_id, SecretString=token)
    return name
