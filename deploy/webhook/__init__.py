"""The bot's token, and the webhook that Telegram calls."""
