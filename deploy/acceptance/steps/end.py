"""Delete everything that the run has made."""

from collections.abc import Iterator

from botsite.bot.telegram.errors import TelegramError
from deploy import teardown as removal
from deploy.acceptance.context import Context
from deploy.acceptance.results import Measure, StepFailed
from deploy.webhook import bot


def teardown(run: Context) -> Iterator[Measure]:
    """Remove the webhook and the service, and ask AWS what is left."""
    try:
        bot.disconnect(run.service)
    except TelegramError as error:
        run.say(f"Telegram still has the webhook: {error}")
    deleted = removal.delete(run.service, lambda event: run.say(f"{event.stack}: {event.logical_id} {event.status}"))
    yield Measure("deleted", len(deleted), "stacks")
    run.say("asking AWS what is left")
    left = removal.leftovers(run.service)
    yield Measure("left behind", len(left), "resources")
    if left:
        raise StepFailed(f"delete by hand: {', '.join(left)}")
