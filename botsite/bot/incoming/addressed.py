"""Tell what is meant for the bot: in a group, only what names it, replies to it, or is one of its commands."""

from botsite.bot.answers import albums
from botsite.bot.incoming.updates import Command, Other, Photo
from botsite.bot.telegram import api, client
from botsite.bot.words import replies
from botsite.threads import in_thread
from detection.record import albums as stored_albums


async def to_bot(said: Photo | Command | Other) -> bool:
    """Return whether a message in a group is the bot's to answer. The name is asked for only if one is mentioned."""
    match said:
        case Command(to=""):
            # Other bots may have a command of that name, but not one that is about a photo.
            return said.name in replies.IN_GROUPS or (said.name in replies.ASKING and said.about is not None)
        case Command():
            return said.to == await api.username()
    if await replies_to_bot(said):
        return True
    if said.names and await api.username() in said.names:
        return True
    return isinstance(said, Photo) and bool(said.album) and await _in_called_album(said)


async def _in_called_album(photo: Photo) -> bool:
    """Return whether the bot was called by another photo of the album: one caption is for all of them.

    Telegram sends the first, which has the caption, before the others, and they wait for its answer.
    """
    album_id = albums.album_id(await in_thread(client.bot_id)(), photo)
    return await in_thread(stored_albums.find)(album_id) is not None


async def replies_to_bot(said: Photo | Command | Other) -> bool:
    """Return whether a message replies to one of the bot's own."""
    return said.reply_to is not None and said.reply_to == await in_thread(client.bot_id)()


def photo_of(said: Photo | Command | Other) -> Photo | None:
    """Return the image that a message is about: its own, or the one that it asks about; None if it is about none."""
    match said:
        case Photo():
            return said
        case Command():
            return said.about if said.name in replies.ASKING else None
    return said.about
