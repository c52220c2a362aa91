"""Make Telegram misbehave on purpose: rules that apply to the next N calls, files or updates."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from .calls import ApiError, JsonObject, bad_request

WEBHOOK = "webhook"
FILE = "file"

# What can happen to each target. Calls fail before they have an effect, or after it, when only the answer is lost
# (apply_then_*) or trickles in (slow_reply). Updates reach the webhook late, twice, out of order or not at all, or the
# bot's answer is lost.
CALL_EFFECTS = {
    "too_many_requests", "server_error", "bad_gateway", "forbidden", "bad_request", "unauthorized",
    "too_large", "delay", "drop", "slow_reply", "apply_then_hang", "apply_then_drop",
}  # fmt: skip
EFFECTS = {
    FILE: {"not_found", "truncated", "slow", "delay", "drop", "server_error", "bad_gateway"},
    WEBHOOK: {"delay", "drop", "apply_then_hang", "apply_then_drop", "duplicate", "swap"},
}
_DEFAULT_HANG_SECONDS = 3600.0


@dataclass
class Rule:
    """One fault. `times` None means until cleared; `seconds` is the length of a delay, a hang or a slow file."""

    id: int
    method: str
    effect: str
    chat_id: int | None = None
    times: int | None = 1
    seconds: float = 0.0
    retry_after: int | None = None
    description: str = ""
    fired: list[JsonObject] = field(default_factory=list)

    def matches(self, method: str, chat_id: int | None) -> bool:
        """Return whether this rule applies to a call and is not used up."""
        for_method = self.method == method or (self.method == "*" and method not in (WEBHOOK, FILE))
        left = self.times is None or len(self.fired) < self.times
        return for_method and left and self.chat_id in (None, chat_id)

    @property
    def hang_seconds(self) -> float:
        """Return how long an answer hangs: `seconds`, or an hour."""
        return self.seconds or _DEFAULT_HANG_SECONDS

    def refusal(self) -> ApiError | None:
        """Return the error that this rule answers with, None if its effect is not a JSON error."""
        refusals = {
            "server_error": ApiError(500, "Internal Server Error"),
            "forbidden": ApiError(403, "Forbidden: bot was blocked by the user"),
            "unauthorized": ApiError(401, "Unauthorized"),
            "bad_request": ApiError(400, self.description or "Bad Request: chat not found"),
            "too_large": ApiError(413, "Request Entity Too Large"),
            "too_many_requests": ApiError(429, "Too Many Requests"),
        }
        if self.effect == "too_many_requests" and self.retry_after is not None:
            return too_many_requests(self.retry_after)
        return refusals.get(self.effect)

    def to_json(self) -> JsonObject:
        """Return the rule and the calls it applied to."""
        return {
            "id": self.id, "method": self.method, "effect": self.effect, "chat_id": self.chat_id, "times": self.times,
            "seconds": self.seconds, "retry_after": self.retry_after, "description": self.description,
            "fired": self.fired,
        }  # fmt: skip


def too_many_requests(retry_after: int) -> ApiError:
    """Return a 429 that says when to try again."""
    return ApiError(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)


class Faults:
    """The rules in force, oldest first; the first match applies."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._ids = itertools.count(1)

    def add(self, fields: JsonObject) -> Rule:
        """Add a rule from its JSON; raise 400 for an effect that its target does not have."""
        try:
            rule = Rule(next(self._ids), **fields)
        except TypeError as error:
            raise bad_request(f"a rule has method, effect and the optional fields of Rule: {error}") from error
        known = EFFECTS.get(rule.method, CALL_EFFECTS)
        if rule.effect not in known:
            raise bad_request(f"{rule.method} has no effect {rule.effect!r}; there are {', '.join(sorted(known))}")
        self.rules.append(rule)
        return rule

    def clear(self, rule_id: int | None = None) -> None:
        """Remove one rule, or all."""
        self.rules = [rule for rule in self.rules if rule_id is not None and rule.id != rule_id]

    def take(self, method: str, chat_id: int | None, *effects: str) -> Rule | None:
        """Return the rule for this call, if any, and count its use; only among `effects` if any are named."""
        for rule in self.rules:
            if rule.matches(method, chat_id) and (not effects or rule.effect in effects):
                rule.fired.append({"method": method, "chat_id": chat_id})
                return rule
        return None
