"""What tests share: emulators, people, faults, and ways to wait."""
