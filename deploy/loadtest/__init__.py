"""Send many photos through the webhook as Telegram would, follow every answer, and watch the service scale."""
