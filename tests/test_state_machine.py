"""Any order of events leaves a prediction with at most one delivery, and in no state that nobody leaves."""

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from deploy.local.stack import LocalStack
from detection import predictions
from detection.schemas import Delivery, Prediction, Status

SHORT = timedelta(seconds=-1)
JOBS = st.sampled_from(["job-1", "job-2"])
LEGAL = {
    (Status.QUEUED, Status.PROCESSING),
    (Status.QUEUED, Status.FAILED),
    (Status.PROCESSING, Status.SUCCEEDED),
    (Status.PROCESSING, Status.FAILED),
    (Delivery.PENDING, Delivery.DELIVERING),
    (Delivery.DELIVERING, Delivery.PENDING),
    (Delivery.DELIVERING, Delivery.DELIVERED),
    # Sent by one whose lease ran out, after the next one gave it back.
    (Delivery.PENDING, Delivery.DELIVERED),
    (Delivery.DELIVERING, Delivery.UNDELIVERABLE),
}


class Photo(RuleBasedStateMachine):
    """Sites, workers and sweepers act on one item in any order, some of them twice, some dying halfway."""

    @initialize()
    def arrives(self) -> None:
        identity = uuid4().hex
        created = predictions.create(Prediction(identity, 1, 1, f"photos/{identity}"))
        assert created.prediction is not None
        self.item = created.prediction
        self.claims: list[Prediction] = []
        self.leases: list[Prediction] = []
        self.sent = 0

    @rule()
    def the_update_comes_again(self) -> None:
        assert not predictions.create(Prediction(self.item.prediction_id, 1, 1, "x")).granted

    @rule()
    def the_job_is_noted(self) -> None:
        predictions.mark_enqueued(self.item.prediction_id, predictions.now())

    @rule(job=JOBS)
    def a_job_claims(self, job: str) -> None:
        claimed = predictions.claim(self.item.prediction_id, job)
        if claimed.granted and claimed.prediction:
            self.claims.append(claimed.prediction)

    @rule(number=st.integers(0, 5))
    def a_claim_succeeds(self, number: int) -> None:
        if self.claims:
            claim = self.claims[number % len(self.claims)]
            granted = predictions.succeed(claim, [], "model", 1).granted
            assert not granted or claim is self.claims[-1], "an overtaken worker stored its result"

    @rule()
    def a_job_fails(self) -> None:
        predictions.fail(self.item.prediction_id, "sorry")

    @rule()
    def a_site_takes_the_lease(self) -> None:
        claimed = predictions.claim_delivery(self.item.prediction_id)
        assert not (claimed.granted and self.sent), "an answered photo would be answered again"
        if claimed.granted and claimed.prediction:
            self.leases.append(claimed.prediction)

    @rule()
    def a_site_sends(self) -> None:
        if self.leases:
            self.sent += predictions.finish_delivery(self.item.prediction_id, Delivery.DELIVERED).granted

    @rule(number=st.integers(0, 5))
    def a_site_gives_its_lease_back(self, number: int) -> None:
        if self.leases:
            newest = self.leases[-1]
            lease = self.leases.pop(number % len(self.leases))
            assert not predictions.release_delivery(lease).granted or lease is newest, "a lost lease was given back"

    @rule()
    def the_chat_is_closed(self) -> None:
        if predictions.claim_delivery(self.item.prediction_id).granted:
            predictions.finish_delivery(self.item.prediction_id, Delivery.UNDELIVERABLE)

    @invariant()
    def states_only_move_as_they_may(self) -> None:
        now = self._now()
        for before, after in ((self.item.status, now.status), (self.item.delivery, now.delivery)):
            assert before == after or (before, after) in LEGAL or self._in_two_steps(before, after)
        assert now.delivery is Delivery.PENDING or now.finished
        self.item = now

    @invariant()
    def at_most_one_answer_is_recorded(self) -> None:
        assert self.sent <= 1

    def teardown(self) -> None:
        """Let the sweeper and one more job act: from wherever the photo is, it gets an end."""
        if not hasattr(self, "item"):
            return
        identity = self.item.prediction_id
        with pytest.MonkeyPatch.context() as patience:
            patience.setattr(predictions, "PROCESSING_STALE", SHORT)
            patience.setattr(predictions, "DELIVERY_LEASE", SHORT)
            claimed = predictions.claim(identity, "the sweeper's job")
            if claimed.granted and claimed.prediction:
                assert predictions.succeed(claimed.prediction, [], "model", 1).granted
        if self._now().delivery is Delivery.DELIVERING:
            assert predictions.release_delivery(self._now()).granted
        if predictions.claim_delivery(identity).granted:
            predictions.finish_delivery(identity, Delivery.DELIVERED)
        end = self._now()
        assert end.finished
        assert end.delivery in (Delivery.DELIVERED, Delivery.UNDELIVERABLE)

    def _now(self) -> Prediction:
        found = predictions.find(self.item.prediction_id)
        assert found is not None
        return found

    def _in_two_steps(self, before: str, after: str) -> bool:
        """Allow for `the_chat_is_closed`, which takes the lease and gives up in one rule."""
        return (before, after) == (Delivery.PENDING, Delivery.UNDELIVERABLE)


def test_any_order_of_events_keeps_the_promise(stack: LocalStack) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    bounds = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Photo, settings=bounds)
