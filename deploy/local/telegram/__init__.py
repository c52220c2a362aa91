"""A fake Bot API server, with a chat page for the person on the other side. README.md says how to use it.

All state is in memory. Programs use `client`. Nothing here imports the rest of this project.
"""

__version__ = "0.2.0"
