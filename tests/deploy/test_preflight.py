"""What `provision` looks at before it makes anything, on answers that AWS itself gave."""

import io
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs

import pytest
from django.core.management import CommandError, call_command
from rich.console import Console

from botsite import aws
from deploy.cfn import cloudformation
from deploy.doctor import checks
from deploy.doctor.region import judge_quota
from deploy.management import before
from deploy.operate import cost
from deploy.preflight import region, rights
from deploy.provision import Order
from deploy.service import Service
from metrics.health.findings import Health
from tests.support import emulators, recorded_aws
from tests.support.cases import slow_after
from tests.support.recorded_aws import Answer, Cloud

QUOTA, PLAN, SIMULATE = "GetServiceQuota", "GetAccountPlanState", "Action=SimulatePrincipalPolicy"
DISK_KEY = "Action=GetEbsDefaultKmsKeyId"


@pytest.fixture(scope="module")
def local() -> Iterator[tuple[str, str]]:
    """Two emulators; that of EC2 knows which zone of AWS offers which type, and has no instance of other tests."""
    with emulators.own_moto() as ec2, emulators.ministack() as rest:
        yield rest, ec2


@pytest.fixture
def cloud(local: tuple[str, str]) -> Cloud:
    """An account with a good quota, and somebody who may do everything."""
    answers = {
        # First, as it names the others.
        SIMULATE: recorded_aws.ALLOWED,
        QUOTA: recorded_aws.quota(32),
        PLAN: recorded_aws.PAID_PLAN,
        DISK_KEY: recorded_aws.disk_key("alias/aws/ebs"),
        "free-tier-eligible": recorded_aws.ELIGIBLE,
        "GetCallerIdentity": recorded_aws.ALICE,
    }
    return Cloud(*local, answers)


@pytest.fixture
def account(cloud: Cloud) -> Iterator[Cloud]:
    """The account, in us-east-1."""
    with recorded_aws.taken_for_aws(cloud):
        yield cloud


def page(*arguments: str) -> dict[str, tuple[str, str]]:
    """Return state and text of each check, as the command prints them."""
    output = io.StringIO()
    try:
        call_command("provision", "--prefix", "new", "--check", "--self-signed", *arguments, stdout=output)
    except CommandError as error:
        output.write(str(error))
    found: dict[str, tuple[str, str]] = {}
    for line in output.getvalue().splitlines():
        if line.startswith(" ") and found:
            name, (state, text) = list(found.items())[-1]
            found[name] = (state, text + line.strip())
        elif len(words := line.split(maxsplit=2)) == 3 and words[1] in list(Health):
            found[words[0]] = (words[1], words[2])
    return found


def test_good_account_passes_every_check(account: Cloud) -> None:
    states = {name: state for name, (state, _) in page().items()}
    assert states == {**dict.fromkeys(states, "ok"), "token": "warning"}
    assert list(states) == [
        "account",
        "rights",
        "quota",
        "vpcs",
        "zones",
        "free-plan",
        "disk-key",
        "certificate",
        "token",
        "admin",
    ]


def test_page_begins_with_account_and_region(account: Cloud) -> None:
    output = io.StringIO()
    call_command("provision", "--prefix", "new", "--check", stdout=output)
    assert output.getvalue().startswith("Account 123456789012, AWS in us-east-1, as ")


def test_refusal_by_iam_fails(account: Cloud) -> None:
    account.answers[SIMULATE] = recorded_aws.refused(organization=False)
    assert page()["rights"] == ("failed", f"these credentials may not s3:PutObject-> {rights._TODO}")


def test_refusal_by_the_organization_is_unknown_and_stops_nobody(account: Cloud) -> None:
    account.answers[SIMULATE] = recorded_aws.refused(organization=True)
    state, text = page()["rights"]
    assert (state, "organization's policies refuse s3:PutObject, but perhaps only in" in text) == ("unknown", True)
    assert before.ready(nobody(), Order(Service("new"))).service == Service("new")


def test_simulation_knows_region_and_caller(account: Cloud) -> None:
    page()
    asked = [parse_qs(one) for one in account.asked if SIMULATE in one]
    expected = {"aws:RequestedRegion": "us-east-1", "aws:PrincipalArn": "arn:aws:iam::123456789012:user/Alice"}
    assert asked
    assert [one for one in asked if not expected.items() <= circumstances(one).items()] == []


def circumstances(asked: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the first value of each key of a simulation's context."""
    names = {key: value[0] for key, value in asked.items() if key.endswith("ContextKeyName")}
    return {name: asked[f"{key.removesuffix('Name')}Values.member.1"][0] for key, name in names.items()}


def test_new_accounts_quota_is_too_small_for_the_first_photo(account: Cloud) -> None:
    account.answers[QUOTA] = recorded_aws.quota(5)
    state, text = page()["quota"]
    assert (state, "may run 5 vCPUs; with one worker or a builder it needs 8, at most 20" in text) == ("failed", True)
    assert "request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 20" in text


def test_unsuitable_account_stays_untouched(account: Cloud) -> None:
    account.answers[QUOTA] = recorded_aws.quota(5)
    with pytest.raises(CommandError, match=r"Nothing was made\. Failed: quota\."):
        call_command("provision", "--prefix", "new", "--yes", stdout=io.StringIO())
    assert cloudformation.describe("new-network") is None


@pytest.mark.parametrize(
    ("vcpus", "state"), slow_after(2, [(7, "failed"), (8, "warning"), (19, "warning"), (20, "ok")])
)
def test_quota_counts_running_instances_and_builder(account: Cloud, vcpus: int, state: str) -> None:
    account.answers[QUOTA] = recorded_aws.quota(vcpus)
    assert page()["quota"][0] == state


def test_other_instances_of_the_account_use_the_quota() -> None:
    verdict = judge_quota(16, {"web": 4, "metrics": 2, "workers": 8}, first=2, baker=2, others=4)
    assert (verdict.state, "at most 24, 4 of them for what runs already" in verdict.seen) == (Health.WARNING, True)


@pytest.mark.parametrize(("vpcs", "state"), slow_after(1, [(1, "failed"), (2, "ok")]))
def test_another_vpc_has_to_fit_into_the_quota(account: Cloud, vpcs: int, state: str) -> None:
    """The emulator has one, the default VPC of a region."""
    assert len(aws.client("ec2").describe_vpcs()["Vpcs"]) == 1
    account.answers = {"L-F678F1CE": recorded_aws.quota(vpcs), **account.answers}
    found, text = page()["vpcs"]
    assert (found, f"the account may have {vpcs} VPCs in us-east-1 and has 1" in text) == (state, True)
    assert ("--service-code vpc --quota-code L-F678F1CE --desired-value 2" in text) == (state == "failed")


@pytest.mark.slow
def test_running_instances_are_counted(account: Cloud) -> None:
    before_it = region._others(Service("new"))
    image = aws.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    started = aws.client("ec2").run_instances(ImageId=image, InstanceType="t3.micro", MinCount=2, MaxCount=2)
    assert region._others(Service("new")) > before_it
    ids = [one["InstanceId"] for one in started["Instances"]]
    aws.client("ec2").create_tags(Resources=ids, Tags=Service("new").tag_list())
    assert region._others(Service("new")) == before_it
    aws.client("ec2").terminate_instances(InstanceIds=ids)


@pytest.mark.parametrize(
    "answer", slow_after(1, [recorded_aws.PAID_PLAN, recorded_aws.NO_PLAN]), ids=["paid", "from before"]
)
def test_account_without_free_plan_bakes_as_usual(account: Cloud, answer: Answer) -> None:
    account.answers[PLAN] = answer
    found = page()
    assert found["free-plan"] == ("ok", "the account is not on the Free Plan")
    assert "t3.medium" in found["zones"][1]


@pytest.mark.slow
def test_free_plan_bakes_on_eligible_type(account: Cloud) -> None:
    account.answers[PLAN] = recorded_aws.FREE_PLAN
    found = page()
    state, text = found["free-plan"]
    assert (state, "c7i-flex.large bakes. US$ 100 of credit: about" in text) == ("warning", True)
    assert "days of this service without photos; then AWS closes the account" in text
    assert before.ready(nobody(), Order(Service("new"))).bake_type == "c7i-flex.large"


def test_days_of_credit_are_told_of_the_running_service(account: Cloud) -> None:
    account.answers[PLAN] = recorded_aws.FREE_PLAN
    (found,) = checks.run(Service("new"), ["credit"])
    assert (found.state, found.seen.startswith("US$ 100 of credit: about ")) == (Health.WARNING, True)
    assert "then AWS closes the account" in found.seen
    assert found.seen in cost.credit(Service("new"))
    account.answers[PLAN] = recorded_aws.PAID_PLAN
    assert checks.run(Service("new"), ["credit"])[0].state is Health.OK


def test_key_of_the_account_for_disks_is_pointed_out(account: Cloud) -> None:
    own = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    account.answers[DISK_KEY] = recorded_aws.disk_key(own)
    state, text = page()["disk-key"]
    assert (state, own in text, "key-policy-requirements-EBS-encryption" in text) == ("warning", True, True)


def test_free_plan_refuses_explicit_type(account: Cloud) -> None:
    account.answers[PLAN] = recorded_aws.FREE_PLAN
    state, text = page("--bake-type", "t3.medium")["free-plan"]
    assert (state, "refuses t3.medium" in text, "--bake-type" in text) == ("failed", True, True)


@pytest.mark.slow
def test_chosen_zones_offer_every_type(cloud: Cloud) -> None:
    """The first zone of eu-south-1 has no c7i-flex.large, by AWS's own list."""
    cloud.answers[PLAN] = recorded_aws.FREE_PLAN
    with recorded_aws.taken_for_aws(cloud, "eu-south-1"):
        assert page()["zones"][1].startswith("eu-south-1b and eu-south-1c offer")
        order = before.ready(nobody(), Order(Service("new")))
        given = page("--parameter", "ZoneA=eu-south-1a", "--parameter", "ZoneB=eu-south-1b")["zones"]
    assert order.values == {"ZoneA": "eu-south-1b", "ZoneB": "eu-south-1c"}
    assert (given[0], "eu-south-1a has no c7i-flex.large" in given[1]) == ("failed", True)


def test_one_zone_is_not_enough() -> None:
    """An old account of us-east-1 has a zone without t3."""
    offers = {"us-east-1a": {"t3.micro"}, "us-east-1e": set[str]()}
    assert region.judge_offers(region.fitting_zones(offers, ["t3.micro"]), offers, ["t3.micro"]).state is Health.FAILED


@pytest.mark.slow
def test_unavailable_answers_are_unknown(account: Cloud) -> None:
    denied = '{"__type": "AccessDeniedException", "message": "not authorized to perform: freetier:GetAccountPlanState"}'
    account.answers[PLAN] = Answer(denied, 400)
    assert page()["free-plan"] == (
        "unknown",
        "these credentials lack freetier:GetAccountPlanState-> Grant freetier:GetAccountPlanState, or use other "
        "credentials.",
    )


def test_silent_aws_service_stops_nobody(account: Cloud) -> None:
    unheard = '{"__type": "NoSuchResourceException", "message": "The request failed because there is no such quota."}'
    account.answers[QUOTA] = Answer(unheard, 400)
    state, text = page()["quota"]
    assert (state, "there is no such quota" in text) == ("unknown", True)


def test_unready_account_fails(account: Cloud) -> None:
    refused = (
        "<Response><Errors><Error><Code>OptInRequired</Code><Message>You are not subscribed to this service. Please go "
        "to http://aws.amazon.com to subscribe.</Message></Error></Errors><RequestID>1</RequestID></Response>"
    )
    account.answers["Action=DescribeAvailabilityZones"] = Answer(refused, 401)
    state, text = page()["zones"]
    assert (state, "finish signing up" in text) == ("failed", True)


def test_open_admin_is_pointed_out(account: Cloud) -> None:
    assert page("--parameter", "OperatorCidr=0.0.0.0/0", "--open-admin")["admin"][0] == "warning"


@pytest.mark.parametrize("more", [["--check"], ["--plan"], []])
@pytest.mark.parametrize("cidr", slow_after(1, ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/7"]))
def test_admin_is_opened_to_everybody_only_if_told_twice(account: Cloud, more: list[str], cidr: str) -> None:
    with pytest.raises(CommandError, match=rf"OperatorCidr={cidr} lets everybody reach .* add --open-admin"):
        call_command("provision", "--prefix", "new", "--parameter", f"OperatorCidr={cidr}", *more, stdout=io.StringIO())
    assert cloudformation.describe("new-network") is None


def nobody() -> Console:
    """Return a console that nobody reads."""
    return Console(file=io.StringIO())
