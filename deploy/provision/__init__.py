"""Bring up the whole service: stacks, images, certificate, and instances that run what the templates say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from botsite import aws, roles
from deploy import budget, rollback, stacks
from deploy.certificates import choice
from deploy.certificates.choice import Way
from deploy.cfn import hold
from deploy.cfn.cloudformation import Change, Report
from deploy.cfn.template import Template
from deploy.images import latest, rollout, spec
from deploy.patience import Say, looks
from deploy.provision import linked_roles, options, target
from deploy.service import Service
from metrics import cloudwatch
from metrics.backlog import BACKLOG
from metrics.cloudwatch import Group, Metric

# Read permissions don't tell whether a token is stored, nor what Telegram has.
_LATER = (
    "If no bot token is stored, it would be asked for on a terminal or read from --token-fd.",
    "Instances of an older image would be replaced. Once the sites are healthy, Telegram would be given the webhook if "
    "needed.",
)

_LINKED = "AWS would make its own roles for Auto Scaling and load balancing, if the account has none yet."
_METRIC_SECONDS, _POLL_SECONDS = 10 * 60, 10
_RECENT = timedelta(minutes=2)


@dataclass(frozen=True)
class Order:
    """What the operator asks for: which service, with which template parameters, and which certificate.

    `bake_type` is the builder's instance type; empty for the usual one. `open_admin` is whether everybody may be let
    at the admin's login. `monthly_budget` is in US dollars; 0 removes it, None leaves it as it is.
    `rebake` are roles that get a new image although they have one. `weights` are those of the workers' model, as a
    builder takes them; None for yolo11n, or what their image has.
    """

    service: Service
    values: Mapping[str, str] = field(default_factory=dict)
    way: Way = field(default_factory=Way)
    bake_type: str = ""
    open_admin: bool = False
    monthly_budget: float | None = None
    rebake: Sequence[str] = ()
    weights: Path | None = None


def check_options(order: Order) -> None:
    """Raise StackError for options that are wrong in any account; AWS is not asked."""
    choice.check(order.way, order.values)
    budget.check_amount(order.monthly_budget)
    stacks.check(order.values)
    options.check_open(order.values, order.open_admin)


def check(order: Order) -> None:
    """Raise StackError for an order that can't be carried out, before anything is changed."""
    check_options(order)
    stacks.planned(order.service, {**order.values, **choice.planned(order.service, order.way)})
    target.steps(order.service, order.values)
    options.check(order.service, order.values)
    budget.check_reader(order.service, order.monthly_budget, order.values)
    latest.check_rebaking(order.service, order.rebake, order.values, order.weights)
    latest.check_standby(order.service, order.values, order.weights)


def provision(order: Order, report: Report, say: Say) -> dict[str, str]:
    """Create or update everything; safe to run again after any interruption. Raise StackError with what to do.

    Return "created", "updated" or "unchanged" by stack name.
    """
    check(order)
    values = {**order.values, **choice.before(order.service, order.way, report)}
    done = deploy(order.service, values, report, say, order.bake_type, order.rebake, order.weights)
    if later := choice.after(order.service, order.way, report):
        # The certificate is for the name that AWS has just given the load balancer.
        second = stacks.provision(order.service, {**values, **later}, report, parts=("web",))
        done = _merged(done, second)
    return done


def deploy(
    service: Service,
    values: Mapping[str, str] | None = None,
    report: Report = stacks.silent,
    say: Say = lambda text: None,
    bake_type: str = "",
    rebake: Sequence[str] = (),
    weights: Path | None = None,
) -> dict[str, str]:
    """Deploy every stack with the newest images; bake those that are missing or wanted. Return as `provision` does."""
    options.check(service, values or {})
    values = {**target.steps(service, values or {}), **(values or {})}
    done: dict[str, str] = {}
    if service.find("web") is None:
        linked_roles.make(say)
    if baked := _to_bake(service, values, rebake, weights):
        done = stacks.provision(service, values, report, parts=stacks.BEFORE_ROLES)
        for role, why in baked.items():
            say(f"{role} {why}. Baking one, which takes about 10 minutes.")
            latest.bake_role(service, role, say, bake_type, weights, spec.on_standby(service, values))
    for line in rollback.in_force(service):
        say(line)
    values = {**latest.newest(service, values), **values}
    parts: Sequence[str] = stacks.order()
    if _awaits_metric(service):
        done = _merged(done, stacks.provision(service, values, report, parts[:-1]))
        _wait_for_metric(service, say)
        parts = parts[-1:]
    done = _merged(done, stacks.provision(service, values, report, parts))
    for group in _workers(service):
        if held := hold.keep(group):
            say(f"{group.name} stays {held}")
    return done


def roll_out(service: Service, say: Say) -> dict[str, str]:
    """Replace instances of an older image or launch template; return the id of each group's refresh that started."""
    begun = {}
    for role in roles.ROLES:
        group = rollout.group(service, role)
        if not (old := rollout.outdated(group)):
            continue
        if started := rollout.start(group):
            begun[group] = started
            say(f"{group} is replacing {len(old)} instances of an older image or launch template, in the background")
        else:
            say(f"{group} is still replacing instances since an earlier run; run this again when it is done")
    return begun


def plan(order: Order) -> tuple[list[Change], list[tuple[Template, Mapping[str, str]]]]:
    """Return the changes that `provision` would make to the stacks, and each template with its values."""
    service = order.service
    values = {**target.steps(service, order.values), **order.values, **choice.planned(service, order.way)}
    return stacks.plan(service, {**latest.known(service, values), **values}), stacks.planned(service, values)


def steps(order: Order) -> list[str]:
    """Return what `provision` would do in addition to the stacks, a sentence each; nothing is changed."""
    baked = _to_bake(order.service, order.values, order.rebake, order.weights)
    bakes = [f"The image of {role} would be baked, which takes about 10 minutes." for role in baked]
    held = [f"{one} would stay." for one in _held(order.service)]
    spending = budget.steps(order.service, order.monthly_budget)
    linked = [] if order.service.find("web") else [_LINKED]
    return [*linked, *bakes, *held, *choice.steps(order.service, order.way), *spending, *_LATER]


def _to_bake(
    service: Service, values: Mapping[str, str], rebake: Sequence[str], weights: Path | None
) -> dict[str, str]:
    """Return the roles that get an image, and why."""
    missing = latest.missing(service, values)
    return dict.fromkeys(missing, "has no image yet") | {
        role: "gets a new image"
        for role in (*rebake, *latest.outdated(service, weights, values))
        if role not in missing
    }


@aws.real_only(otherwise=False)
def _awaits_metric(service: Service) -> bool:
    return service.find("alarms") is None


def _wait_for_metric(service: Service, say: Say) -> None:
    """Return once the metric is published: the alarm on missing points would ring while the first machine boots.

    After ten minutes return anyway, as the alarm then rings rightly.
    """
    workers = service.stack("workers").outputs
    dimensions = (("AutoScalingGroupName", workers["Yolo5GroupName"]),)
    metric = Metric(workers["MetricNamespace"], BACKLOG, dimensions)
    say("waiting for the first point of the metric, before its alarm is made")
    for _ in looks(_METRIC_SECONDS, _POLL_SECONDS):
        if cloudwatch.points([metric], datetime.now(UTC) - _RECENT)[0]:
            return
    say(f"The metric has no point after {_METRIC_SECONDS // 60} minutes; its alarm, {service}-metric-gap, will ring")


def _workers(service: Service) -> list[Group]:
    """Return the workers' group, if it exists."""
    stack, output = service.find(roles.YOLO5.part), roles.YOLO5.group_output
    names = [stack.outputs[output]] if stack and output in stack.outputs else []
    return list(cloudwatch.groups(*names).values()) if names else []


def _held(service: Service) -> list[str]:
    """Return what operators hold, which is no manual change."""
    return [f"{group.name}, {held}," for group in _workers(service) if (held := hold.read(group.name))]


def _merged(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """Return what two runs did together."""
    later = {name: what for name, what in second.items() if name not in first or what != "unchanged"}
    made = {name: what for name, what in first.items() if what == "created"}
    return {**first, **later, **made}
