"""Telegram's Bot API: the connection, its limits, its errors, and what is sent, changed and deleted there."""
