"""Each Logs Insights query, in the runbook, on the dashboard and behind a job's link, asks for what the code logs."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from botsite.staff import logs_link
from deploy import stacks
from deploy.cfn import template

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "deploy" / "operating.md").read_text(encoding="utf-8")
# What each line has (botsite/logs.py), and what Insights adds to it.
EVERYWHERE = {"time", "level", "event", "prediction_id", "@timestamp", "@log", "@message"}
LEVELS = {"debug", "info", "warning", "error", "critical"}
# The language: commands, functions, operators, units.
WORDS = {"fields", "filter", "stats", "sort", "display", "limit", "in", "and", "as", "by", "asc", "desc", "SOURCE"}
WORDS |= {"count", "latest", "pct", "avg", "bin"}


def queries() -> dict[str, str]:
    """Return every query there is, by where it stands."""
    logs = RUNBOOK.partition("\n## Logs\n")[2].partition("\n## ")[0]
    found = {f"runbook {number}": text for number, text in enumerate(re.findall(r"```\n(.*?)```", logs, re.DOTALL))}
    dashboard = template.read(stacks.TEMPLATES / "alarms.yaml").all_resources["Dashboard"]["Properties"]
    trouble = dashboard["DashboardBody"]["Fn::Sub"][1]["Trouble"]["Fn::Sub"]
    return found | {"dashboard": trouble, "link of a job": logs_link.QUERY}


@cache
def logged() -> dict[str, set[str]]:
    """Return the fields of each event, by the calls of `log` in the code."""
    fields: defaultdict[str, set[str]] = defaultdict(set)
    for folder in ("botsite", "detection", "metrics"):
        for path in (ROOT / folder).rglob("*.py"):
            for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    for event, names in _events(function):
                        fields[event] |= names
    return dict(fields)


def _events(function: ast.AST) -> Iterator[tuple[str, set[str]]]:
    # `**fields` stands for what the same function wrote into the dict of that name.
    dicts = {
        node.targets[0].id: {str(key.value) for key in node.value.keys if isinstance(key, ast.Constant)}
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Dict)
    }
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log")), args=[name]):
                named = {keyword.arg for keyword in node.keywords if keyword.arg}
                # The library of sqs logs by the standard library, which has its fields in `extra`.
                extras = [one.value for one in node.keywords if one.arg == "extra" and isinstance(one.value, ast.Dict)]
                named |= {str(key.value) for one in extras for key in one.keys if isinstance(key, ast.Constant)}
                unpacked = [
                    each.value.id for each in node.keywords if isinstance(each.value, ast.Name) and not each.arg
                ]
                for event in ast.walk(name):
                    if isinstance(event, ast.Constant):
                        yield str(event.value), named.union(*(dicts.get(each, set()) for each in unpacked))


def texts(query: str) -> set[str]:
    return set(re.findall(r"""['"]([^'"]*)['"]""", query))


def fields(query: str) -> set[str]:
    """Return the names that a query asks for: what is neither a text, a number, the language nor made by itself."""
    bare = re.sub(r"""['"][^'"]*['"]""", " ", query)
    made = set(re.findall(r"\bas (\w+)", bare))
    return set(re.findall(r"(?<!\w)@?[A-Za-z_]\w*", bare)) - made - WORDS


@pytest.mark.parametrize("place", queries())
def test_queries_match_logged_events_and_fields(place: str) -> None:
    query, known = queries()[place], logged()
    asked = texts("".join(re.findall(r"filter event (.*)", query)))
    assert asked <= known.keys()
    of_these = [known[event] for event in asked or known]
    assert fields(query) - EVERYWHERE - set().union(*of_these) == set()
    if "filter level" in query:
        assert texts(query.partition("filter level")[2].partition("]")[0]) <= LEVELS


def test_dashboard_reads_every_roles_log_group() -> None:
    resources = [template.read(path).all_resources.values() for path in stacks.TEMPLATES.glob("*.yaml")]
    groups = [one["Properties"]["LogGroupName"]["Fn::Sub"] for each in resources for one in each if _is_group(one)]
    assert sorted(re.findall(r"SOURCE '([^']+)'", queries()["dashboard"])) == sorted(groups)


def _is_group(resource: object) -> bool:
    return isinstance(resource, dict) and resource["Type"] == "AWS::Logs::LogGroup"
