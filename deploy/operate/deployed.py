"""Ask for all stacks of a service at once."""

from functools import partial

from deploy import background, stacks
from deploy.cfn.cloudformation import Stack, StackError
from deploy.service import Service


def find(service: Service) -> dict[str, Stack | None]:
    """Return each stack by its part, None if it doesn't exist."""
    asked = {part: background.start(partial(service.find, part)) for part in stacks.order()}
    return {part: one.result() for part, one in asked.items()}


def complete(service: Service) -> dict[str, Stack]:
    """Return each stack by its part; raise StackError if one is missing."""
    found = {part: stack for part, stack in find(service).items() if stack and not stack.empty}
    if missing := [service.stack_name(part) for part in stacks.order() if part not in found]:
        raise StackError(f"{', '.join(missing)} missing: python manage.py provision --prefix {service}")
    return found
