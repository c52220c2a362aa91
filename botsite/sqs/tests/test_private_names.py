"""A release of kombu without a name that the library needs is refused in one sentence, when the library is imported."""

import inspect

import pytest
from kombu.transport import SQS, virtual

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


def test_overridden_methods_are_the_ones_that_kombu_calls() -> None:
    """After a new release of kombu: read its transport for SQS again next to ours, name by name."""
    starts = inspect.getsource(SQS.Channel.basic_consume) + inspect.getsource(SQS.Channel._loop1)
    assert "self.hub.call_soon(self._schedule_queue, queue)" in starts
    assert "self.channel._restore_at_beginning" in inspect.getsource(virtual.QoS.reject)
    assert "return self._restore(message)" in inspect.getsource(virtual.Channel._restore_at_beginning)
    assert "restore = self.channel._restore" in inspect.getsource(virtual.QoS.restore_unacked)
    assert "self.connection._callbacks[queue] = _callback" in inspect.getsource(virtual.Channel.basic_consume)
    assert "self.QoS(self)" in inspect.getsource(virtual.Channel.qos.fget)
    assert "self.Message(raw_message, channel=self)" in inspect.getsource(virtual.Channel.basic_consume)
