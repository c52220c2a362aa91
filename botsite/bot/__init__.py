"""What the bot does and says: `updates` reads, `receive` acts, `deliver` answers, `replies` has the words."""
