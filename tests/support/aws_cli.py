"""Do what the AWS CLI does with a runbook's commands, where it isn't installed: `python -m tests.support.aws_cli`.

It knows calls, `wait`, `--query`, `--output text`, flags, JSON, and lists and maps in shorthand.
"""

import json
import os
import sys
from typing import Any

import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.model import Shape
from botocore.session import get_session


def main(words: list[str]) -> None:
    """Make one call, and print what is asked for of its answer."""
    client = get_session().create_client(words[0], endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    if words[1] == "wait":
        client.get_waiter(words[2].replace("-", "_")).wait(**_arguments(client, "DescribeTable", words[3:]))
        return
    options, operation = words[2:], client.meta.method_to_api_mapping[words[1].replace("-", "_")]
    query, text = _taken(options, "--query", "@"), _taken(options, "--output", "json") == "text"
    answer = getattr(client, words[1].replace("-", "_"))(**_arguments(client, operation, options))
    found = jmespath.search(query, answer)
    sys.stdout.write((_text(found) if text else json.dumps(found, default=str)) + "\n")


def _taken(options: list[str], name: str, default: str) -> str:
    """Return an option's value, and take both out."""
    if name not in options:
        return default
    at = options.index(name)
    value = options[at + 1]
    del options[at : at + 2]
    return value


def _arguments(client: Any, operation: str, options: list[str]) -> dict[str, Any]:
    """Return the arguments of a call. An option's values go on until the next option."""
    members = client.meta.service_model.operation_model(operation).input_shape.members
    by_option = {f"--{xform_name(name, '-')}": name for name in members}
    starts = [index for index, word in enumerate(options) if word.startswith("--")]
    found = {}
    for start, end in zip(starts, [*starts[1:], len(options)], strict=True):
        name = by_option[options[start]]
        found[name] = _value(members[name], options[start + 1 : end])
    return found


def _value(shape: Shape, words: list[str]) -> Any:
    if shape.type_name == "list":
        return [_map(word) for word in words]
    if shape.type_name == "boolean":
        return True
    [word] = words
    if shape.type_name in ("structure", "map"):
        return json.loads(word) if word.startswith("{") else _map(word)
    return word


def _map(word: str) -> dict[str, Any]:
    pairs = dict(pair.split("=", 1) for pair in word.split(","))
    return {key: {"true": True, "false": False}.get(value, value) for key, value in pairs.items()}


def _text(found: Any) -> str:
    if not isinstance(found, list):
        return str(found)
    return "\n".join(map(_text, found)) if found and isinstance(found[0], list) else "\t".join(map(str, found))


if __name__ == "__main__":
    main(sys.argv[1:])
