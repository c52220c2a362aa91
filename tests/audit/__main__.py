"""Examine the policies in a file: `python -m tests.audit POLICIES`, in the environment that has the tools."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parliament import analyze_policy_string
from policy_sentry.analysis.expand import determine_actions_to_expand
from policy_sentry.querying.actions import get_action_data

from tests.audit.exceptions import Finding, judge

_PERMISSIONS = "Permissions management"
Policies = Mapping[str, Mapping[str, Any]]


def by_parliament(policies: Policies) -> Iterator[Finding]:
    """Yield a finding for each action that parliament names."""
    for policy, document in policies.items():
        for found in analyze_policy_string(json.dumps(document)).findings:
            actions = re.findall(r"[a-z0-9-]+:[A-Za-z*]+", str(found.detail)) or [str(found.detail)]
            yield from (Finding(policy, str(found.issue), action) for action in actions)


def by_policy_sentry(policies: Policies) -> Iterator[Finding]:
    """Yield what policy_sentry's list of actions says: unknown ones, and those that take no resource but have one."""
    for policy, document in policies.items():
        for statement in document["Statement"]:
            everywhere = statement["Resource"] in ("*", ["*"])
            for action in _expanded(statement["Action"]):
                known = _known(action)
                if not known:
                    yield Finding(policy, "UNKNOWN_ACTION", action)
                elif {one["resource_arn_format"] for one in known} == {"*"} and not everywhere:
                    yield Finding(policy, "NO_RESOURCE_TAKEN", action)
                elif known[0]["access_level"] == _PERMISSIONS:
                    yield Finding(policy, "PERMISSIONS", action)


def _expanded(actions: str | list[str]) -> list[str]:
    every = [actions] if isinstance(actions, str) else actions
    return [str(one) for one in determine_actions_to_expand(every)]


def _known(action: str) -> list[dict[str, Any]]:
    found = get_action_data(*action.split(":"))
    return [one for rows in found.values() for one in rows] if found else []


def main() -> None:
    """Examine, print, and end with 1 if anything is wrong."""
    policies: Policies = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # The emulator ends a role's name with a random part.
    named = {re.sub(r"-[0-9A-F]{13}$", "", name): document for name, document in policies.items()}
    found = [*by_parliament(named), *by_policy_sentry(named)]
    wrong = sorted(set(judge(found)))
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    right = f"{len(set(found))} findings that tests/audit/exceptions.py accounts for" if not wrong else ""
    sys.stdout.write(f"{len(named)} policies: {right or f'{len(wrong)} lines to look at'}\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
