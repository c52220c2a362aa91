"""A release of kombu without a name that the library needs is refused in one sentence, when the library is imported."""

import pytest
from kombu.transport import SQS

from .. import private_names


def test_no_name_is_missing() -> None:
    assert private_names.missing() == []


def test_missing_name_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(SQS.Channel, "_schedule_queue")
    with pytest.raises(ImportError, match=r"does not know kombu [\d.]+ \(.*_schedule_queue changed\): install") as told:
        private_names.check()
    assert "\n" not in str(told.value)


def test_other_arguments_count_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SQS.Channel, "_new_queue", lambda self: None)
    assert [name.rpartition(".")[2] for name in private_names.missing()] == ["_new_queue"]
