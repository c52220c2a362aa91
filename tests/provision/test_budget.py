"""`provision --monthly-budget`: made once, kept, changed and removed, and who hears of it."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from django.core.management import CommandError

from botsite import aws
from deploy import budget, provision
from deploy.budget import MonthlyBudget
from deploy.cfn import existence
from deploy.cfn.cloudformation import StackError
from deploy.service import Service
from tests.support import emulators, recorded_aws
from tests.support.local_aws import clients_of
from tests.support.provisioning import run
from tests.support.recorded_aws import Answer, Cloud

pytestmark = pytest.mark.usefixtures("control")

EMAIL = "AlarmEmail=ops@example.com"
# docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_ListCostAllocationTags.html
ACTIVE = Answer('{"CostAllocationTags": [{"TagKey": "Project", "Type": "UserDefined", "Status": "Active"}]}')
INACTIVE = Answer('{"CostAllocationTags": []}')
# hashicorp/terraform-provider-aws, issue 37636; aws/aws-parallelcluster-ui, issue 242.
LINKED = Answer(
    '{"__type": "AccessDeniedException", "Message": "Failed to list Cost Allocation Tags: Linked account doesn\'t have '
    'access to cost allocation tags."}',
    400,
)
DENIED = Answer(
    '{"__type": "AccessDeniedException", "Message": "User: arn:aws:iam::123456789012:user/Alice is not authorized to '
    'perform: budgets:ViewBudget on resource: arn:aws:budgets::123456789012:budget/costly-monthly"}',
    400,
)

# An error of DescribeBudget (API_budgets_DescribeBudget.html, Errors).
BROKEN = Answer('{"__type": "InternalErrorException", "Message": "An error on the server occurred."}', 400)
# aws/aws-cli, awscli/examples/budgets/describe-budget.rst, with the spends of API_budgets_CalculatedSpend.html.
COUNTED = Answer(
    '{"Budget": {"BudgetName": "costly-monthly", "BudgetType": "COST", "TimeUnit": "MONTHLY", "CostFilters": {}, '
    '"BudgetLimit": {"Amount": "100.0", "Unit": "USD"}, "CalculatedSpend": {"ActualSpend": {"Amount": "12.34", '
    '"Unit": "USD"}, "ForecastedSpend": {"Amount": "56.78", "Unit": "USD"}}}}'
)


@pytest.fixture
def with_budget(prefix: str) -> Service:
    """A service with a budget of 50 dollars."""
    run("provision", "--prefix", prefix, "--parameter", EMAIL, "--monthly-budget", "50")
    return Service(prefix)


def subscribers(service: Service) -> dict[tuple[str, float], list[str]]:
    """Return who hears of each notification, by its type and threshold."""
    budgets, which = aws.client("budgets"), {"AccountId": emulators.account(), "BudgetName": budget.name(service)}
    found = {}
    for one in budgets.describe_notifications_for_budget(**which)["Notifications"]:
        same = {key: value for key, value in one.items() if key != "NotificationState"}
        told = budgets.describe_subscribers_for_notification(**which, Notification=same)["Subscribers"]
        found[one["NotificationType"], one["Threshold"]] = sorted(each["Address"] for each in told)
    return found


def told(*addresses: str) -> dict[tuple[str, float], list[str]]:
    return {("ACTUAL", 80.0): [*addresses], ("FORECASTED", 100.0): [*addresses]}


def test_budget_is_made_for_the_address_of_the_alarms(with_budget: Service) -> None:
    assert budget.find(with_budget) == MonthlyBudget(with_budget, 50.0, tagged=False, spent=0.0)
    assert subscribers(with_budget) == told("ops@example.com")


@pytest.mark.slow
def test_later_runs_keep_the_budget(with_budget: Service) -> None:
    again = run("provision", "--prefix", with_budget.prefix)
    same = run("provision", "--prefix", with_budget.prefix, "--monthly-budget", "50")
    assert "budget" not in again + same
    assert budget.find(with_budget) == MonthlyBudget(with_budget, 50.0, tagged=False, spent=0.0)


@pytest.mark.slow
def test_budget_changes_and_ends(with_budget: Service) -> None:
    named = ("provision", "--prefix", with_budget.prefix)
    assert "was US$ 50.00 a month for the whole account; it is US$ 70.50" in run(*named, "--monthly-budget", "70.5")
    assert subscribers(with_budget) == told("ops@example.com")
    assert "is removed" in run(*named, "--monthly-budget", "0")
    assert budget.find(with_budget) is None
    assert "budget" not in run(*named, "--monthly-budget", "0")


def test_plan_names_the_budget_and_makes_none(prefix: str) -> None:
    printed = run(
        "provision", "--prefix", prefix, "--plan", "--monthly-budget", "9", "--parameter", "AlarmEmail=a@example.com"
    )
    assert "A budget would be made: US$ 9.00 a month for the whole account. Whether the tag" in printed
    assert "not known here" in printed
    assert budget.find(Service(prefix)) is None


def test_plan_names_changes_of_the_budget(with_budget: Service) -> None:
    named = ("provision", "--prefix", with_budget.prefix, "--plan", "--monthly-budget")
    assert "would change from US$ 50.00 a month for the whole account to US$ 60.00" in run(*named, "60")
    assert "would be removed" in run(*named, "0")
    assert "budget" not in run(*named, "50")
    assert budget.find(with_budget) == MonthlyBudget(with_budget, 50.0, tagged=False, spent=0.0)


@pytest.mark.parametrize("amount", ["-1", "nan", "inf"])
def test_impossible_amount_is_rejected_before_any_change(prefix: str, amount: str) -> None:
    with pytest.raises(CommandError, match="give US dollars a month"):
        run("provision", "--prefix", prefix, f"--monthly-budget={amount}")


def test_budget_without_reader_is_rejected_before_any_change(prefix: str) -> None:
    with pytest.raises(CommandError, match="add --parameter AlarmEmail="):
        run("provision", "--prefix", prefix, "--monthly-budget", "5")
    assert Service(prefix).find("network") is None


@pytest.mark.slow
def test_teardown_removes_the_budget(with_budget: Service) -> None:
    assert budget.name(with_budget) in run("teardown", "--prefix", with_budget.prefix, "--plan")
    assert existence.alive(budget.arn(with_budget))
    run("teardown", "--prefix", with_budget.prefix, "--yes")
    assert budget.find(with_budget) is None
    assert not existence.alive(budget.arn(with_budget))


def test_budget_of_others_is_left_alone(prefix: str) -> None:
    limit = {"BudgetLimit": {"Amount": "1", "Unit": "USD"}, "TimeUnit": "MONTHLY", "BudgetType": "COST"}
    theirs = {"BudgetName": f"{prefix}-monthly", **limit}
    aws.client("budgets").create_budget(AccountId=emulators.account(), Budget=theirs)
    with pytest.raises(StackError, match="was not made by `provision`"):
        budget.remove(Service(prefix))


@pytest.fixture(scope="module")
def costly(cloud: str) -> Cloud:
    """A service with an address, and an AWS with billing before it."""
    provision.deploy(Service("costly"), {"AlarmEmail": "ops@example.com"})
    return Cloud(cloud, cloud)


@pytest.fixture
def billing(costly: Cloud) -> Iterator[Cloud]:
    """The same without a budget and answers."""
    costly.answers.clear()
    with recorded_aws.taken_for_aws(costly):
        yield costly
    root = clients_of(costly.emulator)("budgets")
    for one in root.describe_budgets(AccountId=emulators.account())["Budgets"]:
        root.delete_budget(AccountId=emulators.account(), BudgetName=one["BudgetName"])


def test_active_tag_filters_the_budget(billing: Cloud) -> None:
    billing.answers["ListCostAllocationTags"] = ACTIVE
    said = budget.keep(Service("costly"), 50)
    assert said[0].startswith("The budget is US$ 50.00 a month for what carries the tag Project=costly.")
    stored = aws.client("budgets").describe_budget(AccountId=emulators.account(), BudgetName="costly-monthly")["Budget"]
    assert stored["CostFilters"] == {"TagKeyValue": ["user:Project$costly"]}


@pytest.mark.slow
def test_tag_activated_later_filters_from_then_on(billing: Cloud) -> None:
    billing.answers["ListCostAllocationTags"] = INACTIVE
    assert "Activate the tag Project in the Billing console" in budget.keep(Service("costly"), 50)[0]
    billing.answers["ListCostAllocationTags"] = ACTIVE
    assert budget.steps(Service("costly"), None)[0].endswith("for what carries the tag Project=costly.")
    budget.keep(Service("costly"), None)
    found = budget.find(Service("costly"))
    assert found is not None
    assert found.tagged


def test_unknown_tag_counts_the_account_and_says_why(billing: Cloud) -> None:
    billing.answers["ListCostAllocationTags"] = LINKED
    said = budget.keep(Service("costly"), 50)
    assert "for the whole account." in said[0]
    assert "Linked account doesn't have access to cost allocation tags" in said[0]


@pytest.mark.slow
def test_unknown_tag_keeps_the_filter(billing: Cloud) -> None:
    billing.answers["ListCostAllocationTags"] = ACTIVE
    budget.keep(Service("costly"), 50)
    billing.answers["ListCostAllocationTags"] = LINKED
    assert budget.keep(Service("costly"), None) == []


def test_old_rights_of_a_deployer_stop_nothing(billing: Cloud) -> None:
    billing.answers["DescribeBudget"] = DENIED
    unknown = ["Whether there is a budget is not known: these credentials lack budgets:ViewBudget."]
    assert budget.keep(Service("costly"), None) == budget.steps(Service("costly"), None) == unknown


def test_silent_budgets_stop_nothing_but_a_wish_for_one(billing: Cloud) -> None:
    billing.answers["DescribeBudget"] = BROKEN
    unknown = "Whether there is a budget is not known: DescribeBudget failed with InternalErrorException"
    assert budget.keep(Service("costly"), None)[0].startswith(unknown)
    with pytest.raises(ClientError, match="InternalErrorException"):
        budget.keep(Service("costly"), 50)


@pytest.mark.slow
def test_cost_shows_spending_as_aws_counts_it(billing: Cloud) -> None:
    billing.answers["ListCostAllocationTags"] = ACTIVE
    assert budget.spending(Service("costly")) == ""
    budget.keep(Service("costly"), 50)
    billing.answers["DescribeBudget"] = COUNTED
    counted = "US$ 12.34 spent by AWS's count, up to a day late, US$ 56.78 forecast."
    assert budget.spending(Service("costly")) == f"US$ 100.00 a month for the whole account, net of credits; {counted}"


@pytest.mark.slow
def test_cost_knows_no_spending_here(with_budget: Service) -> None:
    assert budget.spending(with_budget).endswith("for the whole account; what is spent of it is not known here.")


def test_budget_counts_what_credits_pay(billing: Cloud) -> None:
    billing.answers["ListCostAllocationTags"] = INACTIVE
    budget.keep(Service("costly"), 50)
    found = aws.client("budgets").describe_budget(AccountId=emulators.account(), BudgetName="costly-monthly")["Budget"]
    assert (found["CostTypes"]["IncludeCredit"], found["CostTypes"]["IncludeRefund"]) == (False, False)


def test_budget_of_an_earlier_release_begins_to_count_what_credits_pay(billing: Cloud) -> None:
    billing.answers["ListCostAllocationTags"] = INACTIVE
    budget.keep(Service("costly"), 50)
    client, which = aws.client("budgets"), {"AccountId": emulators.account()}
    found = client.describe_budget(**which, BudgetName="costly-monthly")["Budget"]
    made = {key: found[key] for key in ("BudgetName", "BudgetLimit", "TimeUnit", "BudgetType")}
    client.update_budget(**which, NewBudget=made | {"CostTypes": {"IncludeCredit": True, "IncludeRefund": True}})
    assert "net of credits; it is US$ 50.00" in budget.keep(Service("costly"), None)[0]
    assert budget.keep(Service("costly"), None) == []
