"""Check the keyboard under a message."""

from __future__ import annotations

from .calls import Call, JsonObject, bad_request

_MAX_CALLBACK_DATA_BYTES = 64
_MAX_BUTTONS = 100
_ACTIONS = {"url", "callback_data", "web_app", "login_url", "switch_inline_query", "switch_inline_query_current_chat",
            "copy_text", "callback_game", "pay"}  # fmt: skip
_OTHER_KEYBOARDS = {"keyboard", "remove_keyboard", "force_reply"}


def read_keyboard(call: Call) -> JsonObject | None:
    """Return the inline keyboard of a call; None if it has none, or one that replaces the phone's."""
    markup = call.json_object("reply_markup")
    if not markup or _OTHER_KEYBOARDS & markup.keys():
        return None
    rows = markup.get("inline_keyboard")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request("object expected as reply markup")
    if sum(len(row) for row in rows) > _MAX_BUTTONS:
        raise bad_request("reply markup is too long")
    rows = [[_checked(button) for button in row] for row in rows if row]
    return {"inline_keyboard": rows} if rows else None


def _checked(button: JsonObject) -> JsonObject:
    if not isinstance(button, dict) or not button.get("text"):
        raise bad_request('can\'t parse inline keyboard button: Field "text" must be of type String')
    if not _ACTIONS & button.keys():
        raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    data = button.get("callback_data")
    if data is not None and not 1 <= len(str(data).encode()) <= _MAX_CALLBACK_DATA_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    return button
