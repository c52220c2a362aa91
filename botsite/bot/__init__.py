"""What the bot says and does: `incoming` reads an update, `receive` acts on it, `deliver` answers, `replies` words."""
