"""Be a person who talks to the bot, or make Telegram misbehave: for the demo and for tests."""

from deploy.local.telegram.client.control import TelegramControl
from deploy.local.telegram.client.messages import (
    ANSWERING,
    BotCall,
    Button,
    CallbackAnswer,
    Delivery,
    FileReference,
    Message,
)
from deploy.local.telegram.client.requests import TelegramClientError
from deploy.local.telegram.client.user import TelegramUser

__all__ = [
    "ANSWERING",
    "BotCall",
    "Button",
    "CallbackAnswer",
    "Delivery",
    "FileReference",
    "Message",
    "TelegramClientError",
    "TelegramControl",
    "TelegramUser",
]
