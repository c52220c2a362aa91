"""`provision`, `teardown` and `stack_env`, run against an emulated AWS and a fake Telegram."""
