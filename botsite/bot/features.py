"""The features that have commands and buttons of their own, which they register; a new feature is a name here."""

from botsite.bot.buttons import cancel, complaints, redraw  # noqa: F401
from botsite.bot.incoming import guests  # noqa: F401
from botsite.bot.people import erase, guide, history, knows, preferences  # noqa: F401
