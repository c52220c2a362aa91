"""List the checks by name, and run them at once."""

from collections.abc import Callable, Iterable, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from deploy.cfn import remedies
from deploy.doctor import checks as doctor
from deploy.doctor.findings import Finding, Verdict, unknown
from deploy.preflight import account, free_plan, outside, quota, rights, zones
from deploy.preflight.wanted import Wanted
from deploy.provision import Order

Check = Callable[[Order, Wanted], Verdict]
CHECKS: Mapping[str, Check] = {
    "account": account.check,
    "rights": rights.check,
    "quota": quota.check,
    "vpcs": quota.vpcs,
    "zones": zones.check,
    "free-plan": free_plan.check,
    "certificate": outside.certificate,
    "token": outside.token,
    "admin": outside.admin,
}
# Rights are asked for statement by statement.
_SECONDS = 60.0
# What AWS answers while an account can't be used yet.
_NOT_READY = ("OptInRequired", "SubscriptionRequiredException", "PendingVerification")


def run(order: Order, wanted: Wanted, without: Iterable[str] = ()) -> list[Finding]:
    """Return the findings, in order; a check that these credentials don't allow is unknown."""
    bound = {name: _bound(check, order, wanted) for name, check in CHECKS.items() if name not in without}
    return doctor.run(order.service, bound, bound, _SECONDS)


def _bound(check: Check, order: Order, wanted: Wanted) -> doctor.Check:
    return lambda service: _answered(check, order, wanted)


def _answered(check: Check, order: Order, wanted: Wanted) -> Verdict:
    """Return the verdict; a service that doesn't answer, as in some regions, keeps nobody from going on."""
    try:
        return check(order, wanted)
    except (ClientError, BotoCoreError) as error:
        if remedies.denied_action(error) or any(code in str(error) for code in _NOT_READY):
            raise
        return unknown(f"AWS doesn't tell: {error}")
