"""`celery -A app sqs status` and `celery -A app sqs dlq list|replay|purge`."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery

from .letters import Letters, NoDeadLetterQueue
from .transport import Channel

_COUNTS = {
    "waiting": "ApproximateNumberOfMessages",
    "in work or to be tried again": "ApproximateNumberOfMessagesNotVisible",
    "for later": "ApproximateNumberOfMessagesDelayed",
}


@contextmanager
def _channel(app: Celery) -> Iterator[Channel]:
    """Yield a channel of the app's broker; say in one line what AWS refuses."""
    try:
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            if not isinstance(channel, Channel):
                raise click.ClickException(f"{app} does not use this transport: call `install(app)`.")
            yield channel
    except (ClientError, BotoCoreError, NoDeadLetterQueue) as error:
        raise click.ClickException(str(error)) from error


def _queues(app: Celery, chosen: str | None) -> list[str]:
    names = list(app.amqp.queues)
    if chosen is None:
        return names
    if chosen not in names:
        raise click.ClickException(f"There is no queue {chosen}, but: {', '.join(names)}.")
    return [chosen]


@click.group()
def sqs() -> None:
    """Look after this app's queues on Amazon SQS."""


@sqs.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Count the messages of each queue, and its dead letters."""
    app: Celery = context.obj.app
    with _channel(app) as channel:
        for queue in _queues(app, None):
            client = channel.client_of(queue)
            counts = _count(client, channel._new_queue(queue))
            try:
                dead = str(sum(_count(client, Letters(app, channel, queue).url).values()))
            except NoDeadLetterQueue:
                dead = "no queue for them"
            numbers = ", ".join(f"{name} {number}" for name, number in counts.items())
            click.echo(f"{queue}: {numbers}, dead letters {dead}")


def _count(client: Any, url: str) -> dict[str, int]:
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS.values()))["Attributes"]
    return {name: int(answer.get(attribute, 0)) for name, attribute in _COUNTS.items()}


@sqs.group()
def dlq() -> None:
    """List, replay or delete dead letters."""


def _of_queues(work: Callable[..., None]) -> Any:
    """Have a command called with the letters of each queue, or of the one that is named."""

    @click.option("--queue", help="Only this queue of the app.")
    @click.pass_context
    def command(context: click.Context, /, queue: str | None, **options: Any) -> None:
        app: Celery = context.obj.app
        # Otherwise all tasks but the ones of the app's own module would be unknown.
        app.loader.import_default_modules()
        app.finalize()
        with _channel(app) as channel:
            for name in _queues(app, queue):
                work(name, Letters(app, channel, name), **options)

    command.__doc__ = work.__doc__
    return command


def _list(queue: str, letters: Letters) -> None:
    """Show the dead letters; they stay where they are."""
    with closing(letters.read()) as found:
        for one in sorted(found, key=lambda letter: letter.sent_at):
            sent = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(one.sent_at))
            click.echo(f"{queue}  {sent}  {one.message_id}  {one.task}  {one.problem or ''}".rstrip())


def _replay(queue: str, letters: Letters) -> None:
    """Put dead letters back into their queue, but for those that no worker of this app can run."""
    replayed, left = letters.replay()
    stays = f"; {left} stay, because no worker could run them" if left else ""
    click.echo(f"{queue}: {replayed} replayed{stays}")


def _purge(queue: str, letters: Letters, yes: bool) -> None:
    """Delete all dead letters; ask first, or take --yes."""
    if not yes:
        click.confirm(f"Delete all dead letters of {queue}?", abort=True)
    click.echo(f"{queue}: {letters.purge()} deleted")


dlq.command("list")(_of_queues(_list))
dlq.command("replay")(_of_queues(_replay))
dlq.command("purge")(click.option("--yes", is_flag=True, help="Do not ask.")(_of_queues(_purge)))
