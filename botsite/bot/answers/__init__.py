"""The answer to a photo or an album: composed, sent once, and how long people wait for it."""
