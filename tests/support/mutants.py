"""Take a policy apart."""

import copy
from collections.abc import Iterator
from typing import Any


def mutants(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the policy without each of its actions, and without each of several resources."""
    for number, statement in enumerate(document["Statement"]):
        for part in ("Action", "Resource"):
            values = statement[part] if isinstance(statement[part], list) else [statement[part]]
            for value in values if part == "Action" or len(values) > 1 else []:
                mutant = copy.deepcopy(document)
                # `x` and `x:*` are two ways to write one log group: which of them counts differs.
                left = [one for one in values if one.removesuffix(":*") != value.removesuffix(":*")]
                if left:
                    mutant["Statement"][number][part] = left
                else:
                    del mutant["Statement"][number]
                yield f"{statement['Sid']} without {value}", mutant
