"""Where the checks look: the stacks of one prefix, and the secrets that the doctor may read of them."""

from dataclasses import dataclass

from django.conf import settings

from botsite import logs, secret_store
from botsite.bot import bot_token
from deploy import stacks
from deploy.cfn.cloudformation import Stack


@dataclass(frozen=True)
class Place:
    """A deployed service. Each method asks AWS anew, so that the checks need not wait for each other."""

    prefix: str

    @property
    def emulated(self) -> bool:
        """Return whether this is no AWS: nothing executes there, and some calls are missing."""
        return bool(settings.AWS_ENDPOINT_URL)

    def stack(self, part: str) -> Stack:
        """Return a stack of the service; raise StackError if it is not deployed."""
        return stacks.existing(self.prefix, part)

    def output(self, part: str, name: str) -> str:
        """Return an output of a stack; raise StackError if it lacks it."""
        outputs = self.stack(part).outputs
        if name not in outputs:
            raise stacks.StackError(
                f"{stacks.name(self.prefix, part)} has no output {name}: it is half made, or older than this code. "
                f"Run: python manage.py provision --prefix {self.prefix}"
            )
        return outputs[name]

    def token(self) -> str:
        """Return the bot's token; raise TelegramError if the secret holds none."""
        token = bot_token.stored(self.output("web", "TokenSecretName"))
        logs.hide(token)
        return token

    def secret(self, setting: str) -> str:
        """Return what the service's secrets hold for a setting; raise ImproperlyConfigured if they cannot be read."""
        names = self.output("web", "ServiceSecrets").split(",")
        value = secret_store.read(names, settings.AWS_REGION, settings.AWS_ENDPOINT_URL).get(setting, "")
        logs.hide(value)
        return value
