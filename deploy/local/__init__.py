"""The laptop's AWS and Telegram: emulators, and what an emulator cannot do."""
