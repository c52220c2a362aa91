"""Bring up the whole service: stacks, images, certificate, and machines that run what the templates say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deploy import stacks
from deploy.certificates import choice
from deploy.certificates.choice import Way
from deploy.cfn.cloudformation import Report
from deploy.images import bake, bundle, latest, recipe, rollout
from deploy.images.latest import NoImage
from deploy.images.recipe import Recipe

Say = Callable[[str], None]
_GROUPS = {"web": "PolybotGroupName", "workers": "Yolo5GroupName", "metrics": "MetricsGroupName"}

# Whether there is a token, and what Telegram has, cannot be seen by those who may only read settings.
_LATER = (
    "The bot's token would be asked for on a terminal, or taken from --token-fd, if none is stored.",
    "Telegram would be told of the webhook, and machines of an older image replaced, where it is not so already.",
)


@dataclass(frozen=True)
class Order:
    """What the operator wants: where, with which parameters of the templates, by which certificate."""

    prefix: str
    values: Mapping[str, str] = field(default_factory=dict)
    way: Way = field(default_factory=Way)


def check(order: Order) -> None:
    """Raise StackError for what cannot be, before anything is changed."""
    choice.check(order.way, order.values)
    stacks.planned(order.prefix, {**order.values, **choice.planned(order.prefix, order.way)})


def provision(order: Order, report: Report, say: Say) -> dict[str, str]:
    """Create or update everything; safe to run again after any interruption. Raise StackError with what to do."""
    check(order)
    values = {**order.values, **choice.before(order.prefix, order.way, report)}
    done = _with_images(order.prefix, values, report, say)
    if later := choice.after(order.prefix, order.way, report):
        # The certificate is for the name that AWS gave the load balancer a moment ago.
        done = _merged(done, stacks.provision(order.prefix, {**values, **later}, report, parts=("web",)))
    return done


def roll_out(prefix: str, say: Say) -> dict[str, str]:
    """Have the groups replace machines of an older image or setting; return the refresh of each group that does."""
    begun = {}
    for part, output in _GROUPS.items():
        group = stacks.existing(prefix, part).outputs[output]
        if not (old := rollout.outdated(group)):
            continue
        if started := rollout.start(group):
            begun[group] = started
            say(f"{group} replaces {len(old)} machines of an older image or setting; this goes on by itself")
        else:
            say(f"{group} replaces machines since an earlier run; run this again when that is done")
    return begun


def steps(order: Order) -> list[str]:
    """Return what `provision` would do besides the stacks, a sentence each; nothing is changed."""
    bakes = [
        f"The image of {role} would be baked, which takes about 10 minutes." for role in latest.missing(order.prefix)
    ]
    return [*bakes, *choice.steps(order.prefix, order.way), *_LATER]


def _with_images(prefix: str, values: Mapping[str, str], report: Report, say: Say) -> dict[str, str]:
    """Deploy every stack; the image of a role that has none is baked when it is first needed."""
    baked: set[str] = set()
    while True:
        try:
            return stacks.provision(prefix, values, report)
        except NoImage as missing:
            role = missing.role
            if role in baked:
                raise
        baked.add(role)
        say(f"There is no image of {role} yet. Baking one, which takes about 10 minutes.")

        def said(text: str, role: str = role) -> None:
            say(f"{role}: {text}")

        bake.bake(prefix, recipe.place(prefix), Recipe(role, bundle.version()), said)


def _merged(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """Return what two runs did together."""
    later = {name: what for name, what in second.items() if what != "unchanged"}
    made = {name: what for name, what in first.items() if what == "created"}
    return {**first, **later, **made}
