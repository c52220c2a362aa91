"""A Bot API server of one's own: what Telegram does to a bot, with a page for the person on the other side."""
