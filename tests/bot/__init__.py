"""The bot: what people send, press and read."""
