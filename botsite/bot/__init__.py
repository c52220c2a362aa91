"""What the bot does and says: `updates` reads, `receive` acts, `deliver` answers, `replies` has the words."""

import os

# python-telegram-bot reads this on every 429: without it, retry_after comes with a deprecation warning.
os.environ.setdefault("PTB_TIMEDELTA", "1")
