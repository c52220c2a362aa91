"""A fake Bot API server, with a chat page for the person on the other side.

Started with `TELEGRAM_TOKEN=... python -m deploy.local.telegram --port 8081`, it serves the bot at `/bot<token>/` and
`/file/bot<token>/`, people at `/` (the chat page) and `/chats/`, and tests at `/control/`. All state is in memory.
Programs use `client`. Nothing here imports the rest of this project.
"""
