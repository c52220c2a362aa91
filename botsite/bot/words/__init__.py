"""What the bot says, in each person's language, and what it understands of what people write."""
