"""Be a person who talks to the bot, or make Telegram misbehave: for the demo and for tests."""

from .control import TelegramControl
from .messages import (
    ANSWERING,
    BotCall,
    Button,
    CallbackAnswer,
    Delivery,
    FileReference,
    Message,
)
from .requests import TelegramClientError
from .user import TelegramUser

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
