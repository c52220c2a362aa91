"""Run ministack with indexes of DynamoDB that are in order, as DynamoDB's are.

ministack 1.5.33 goes through all items of a partition for each query, at 40 microseconds an item, so that a page costs
as much as its list is long. Here a query is given only the items within its reach: those that follow where it starts.
"""

import sys
from bisect import bisect_left, bisect_right
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.services import dynamodb

from deploy.local import fixups

# Behind every id.
_LAST = chr(sys.maxunicode)
Member = tuple[Any, Any]
_query, _index_members = dynamodb._query, dynamodb._index_members
_asked: ContextVar[dict[str, Any]] = ContextVar("asked")
# (index, partition, number of its items) -> (created_at, prediction_id, which item), in order.
_ordered: dict[tuple[str, Any, int], list[tuple[str, str, Member]]] = {}


def query(data: dict[str, Any]) -> Any:
    """Answer a query, remembering what is asked."""
    _asked.set(data)
    return _query(data)


def index_members(table: dict[str, Any]) -> Any:
    """Return the items of each index; of the partition that is asked for, those within reach of the start."""
    members, asked = _index_members(table), _asked.get({})
    index = asked.get("IndexName", "")
    values = {name: next(iter(value.values())) for name, value in asked.get("ExpressionAttributeValues", {}).items()}
    key = values.get(":key")
    if key not in members.get(index, {}):
        return members
    order = _in_order(table, index, key, members[index][key])
    low = bisect_left(order, (values[":since"],)) if ":since" in values else 0
    high = bisect_right(order, (values[":until"], _LAST)) if ":until" in values else len(order)
    reach = int(asked["Limit"]) + 1
    start = asked.get("ExclusiveStartKey")
    bound = (start["created_at"]["S"], start["prediction_id"]["S"]) if start else None
    if asked.get("ScanIndexForward", True):
        begin = bisect_left(order, bound) if bound else low
        found = order[begin : min(high, begin + reach)]
    else:
        end = bisect_left(order, bound) if bound else high
        found = order[max(low, end - reach) : end]
    return {index: {key: dict.fromkeys(member for _, _, member in found)}}


def _in_order(
    table: dict[str, Any], index: str, key: Any, members: dict[Member, None]
) -> list[tuple[str, str, Member]]:
    known = (index, key, len(members))
    if known not in _ordered:
        items = [(table["items"][one][other], (one, other)) for one, other in members]
        _ordered[known] = sorted(
            (item["created_at"]["S"], item["prediction_id"]["S"], member) for item, member in items
        )
    return _ordered[known]


if __name__ == "__main__":
    dynamodb._query, dynamodb._index_members = query, index_members
    fixups.install()
    sys.exit(app.main())
