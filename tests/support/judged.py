"""Write policies as the emulator judges them: it takes each call of AWS Budgets for an action of its own.

AWS has two actions for them (service authorization reference, AWS Budgets).
"""

from typing import Any

_CALLS = {
    "budgets:ViewBudget": ["budgets:DescribeBudget", "budgets:DescribeSubscribersForNotification"],
    "budgets:ModifyBudget": [
        f"budgets:{call}"
        for call in (
            "CreateBudget",
            "CreateNotification",
            "CreateSubscriber",
            "DeleteBudget",
            "DeleteSubscriber",
            "UpdateBudget",
        )
    ],
}


def statement(given: dict[str, Any]) -> dict[str, Any]:
    """Return a statement whose actions are a list, with the emulator's actions next to AWS's."""
    return {**given, "Action": [name for action in given["Action"] for name in (action, *_CALLS.get(action, ()))]}


def aws_action(call: str) -> str:
    """Return AWS's action for a call."""
    return next((action for action, calls in _CALLS.items() if call in calls), call)
