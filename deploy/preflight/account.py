"""Say whose account it is, and where."""

from dataclasses import dataclass

from botsite import aws
from deploy.doctor.findings import Verdict, ok, warning
from deploy.preflight.wanted import Wanted
from deploy.provision import Order


@dataclass(frozen=True)
class Account:
    """An AWS account, and who we are in it (an ARN)."""

    id: str
    arn: str

    @property
    def root(self) -> bool:
        """Return whether these are the credentials of the account's owner, whom no policy limits."""
        return self.arn.endswith(":root")

    def __str__(self) -> str:
        return f"Account {self.id}, {aws.place()}, as {self.arn.rpartition(':')[2]}"


def read() -> Account:
    """Ask AWS who we are, which needs no permission."""
    answer = aws.client("sts").get_caller_identity()
    return Account(answer["Account"], answer["Arn"])


def check(order: Order, wanted: Wanted) -> Verdict:
    """Check that these are not the credentials of the account's owner."""
    here = read()
    if here.root and not aws.emulated():
        return warning(
            f"{here}: the root user may do everything, and nobody can take that back if its key leaks",
            "Delete its access keys, and deploy as a user or a role with deploy/policies/deployer.json.",
        )
    return ok(str(here))
