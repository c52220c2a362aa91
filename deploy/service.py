"""Bring up the whole service: stacks, images, certificate, and machines that run what the templates say."""

from collections.abc import Callable, Mapping

from deploy import bake, bundle, https, recipe, refresh, stacks
from deploy.cfn import Report
from deploy.https import Way
from deploy.machine_images import NoImage
from deploy.recipe import Recipe
from deploy.stacks import Provisioned

Say = Callable[[str], None]
_GROUPS = {"web": "PolybotGroupName", "workers": "Yolo5GroupName", "metrics": "MetricsGroupName"}


def provision(prefix: str, values: Mapping[str, str], way: Way, report: Report, say: Say) -> Provisioned:
    """Create or update everything; safe to run again after any interruption. Raise StackError with what to do."""
    given = {**values, **https.before(prefix, way, report)}
    done = _with_images(prefix, given, report, say)
    if later := https.after(prefix, way, report):
        # A certificate for the load balancer's own name: AWS gave it that a moment ago.
        done = _merged(done, stacks.provision(prefix, {**given, **later}, report))
    roll_out(prefix, say)
    return done


def roll_out(prefix: str, say: Say) -> None:
    """Have the groups replace machines that were launched before the last change of their template."""
    for part, output in _GROUPS.items():
        group = stacks.existing(prefix, part).outputs[output]
        if old := refresh.outdated(group):
            refresh.start(group)
            say(f"{group} replaces {len(old)} machines of an older image or setting; this goes on by itself")


def _with_images(prefix: str, values: Mapping[str, str], report: Report, say: Say) -> Provisioned:
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
        bake.bake(prefix, recipe.place(prefix), Recipe(role, bundle.version()), say)


def _merged(first: Provisioned, second: Provisioned) -> Provisioned:
    """Return what two runs did together."""
    what = {name: first.stacks[name] if done == "unchanged" else done for name, done in second.stacks.items()}
    what |= {name: "created" for name, done in first.stacks.items() if done == "created"}
    return Provisioned(what, [*first.fixups, *second.fixups])
