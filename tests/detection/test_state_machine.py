"""The conditional writes do what the model of the protocol says, in any order, an operator's among them.

That the protocol keeps its promises is shown on the model: tests/repository/test_protocol_model.py.
"""

from datetime import timedelta
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from deploy.local.stack import LocalStack
from detection.record import deliveries, predictions, reasons, times
from detection.record.predictions import Outcome
from detection.record.schemas import Delivery, Prediction
from tests.model import writes
from tests.model.writes import Item, Rules

pytestmark = pytest.mark.slow(quick="tests/repository/test_protocol_model.py")

SHORT = timedelta(seconds=-1)
JOBS = st.sampled_from([1, 2])
PICK = st.integers(0, 5)
RULES = Rules()


class Photo(RuleBasedStateMachine):
    """Sites, workers, sweepers and operators act on one item in any order, some twice, some dying halfway.

    The model of the writes makes each step, too: it has to grant what DynamoDB grants, and to come to the same state.
    """

    @initialize()
    def arrives(self) -> None:
        identity = uuid4().hex
        created = predictions.create(Prediction(identity, 1, 1, f"photos/{identity}"))
        assert created.prediction is not None
        self.identity, self.model = identity, Item()
        self.claims: list[Prediction] = []
        self.leases: list[tuple[Prediction, int]] = []
        self.numbers = count(1)

    @rule()
    def the_update_comes_again(self) -> None:
        assert not predictions.create(Prediction(self.identity, 1, 1, "x")).granted

    @rule()
    def the_job_is_noted(self) -> None:
        predictions.mark_enqueued(self.identity, times.now())
        self.model = self.model._replace(noted=True)

    @rule(job=JOBS)
    def a_job_claims(self, job: int) -> None:
        claimed = predictions.claim(self.identity, str(job))
        self._agree(claimed, writes.claim(self.model, job))
        if claimed.granted and claimed.prediction:
            self.claims.append(claimed.prediction)

    @rule(job=JOBS, stale=st.booleans())
    def a_job_takes_over(self, job: int, stale: bool) -> None:
        with pytest.MonkeyPatch.context() as patience:
            if stale:
                patience.setattr(predictions, "PROCESSING_STALE", SHORT)
            found = self._now()
            may = self.model.status == "processing" and (stale or self.model.job == job)
            assert predictions.abandoned(found, str(job)) == may
        if may:
            taken = predictions.take_over(found, str(job))
            self._agree(taken, writes.take_over(self.model, job, found.attempts))
            assert taken.prediction is not None
            self.claims.append(taken.prediction)

    @rule(number=PICK)
    def a_claim_succeeds(self, number: int) -> None:
        if self.claims:
            claim = self.claims[number % len(self.claims)]
            self._agree(predictions.succeed(claim, [], "model", 1), writes.succeed(self.model, claim.attempts))

    @rule(number=PICK, failed=st.booleans())
    def a_claim_is_given_back(self, number: int, failed: bool) -> None:
        if self.claims:
            claim = self.claims[number % len(self.claims)]
            back = predictions.note_failure(claim, "ValueError") if failed else predictions.give_back(claim)
            self._agree(back, writes.give_back(self.model, claim.attempts))

    @rule()
    def a_job_fails(self) -> None:
        self._agree(predictions.fail(self.identity, reasons.of("sorry")), writes.fail(self.model))

    @rule(number=PICK)
    def a_claim_fails(self, number: int) -> None:
        if self.claims:
            seen = self.claims[number % len(self.claims)].attempts
            self._agree(
                predictions.fail(self.identity, reasons.of("sorry"), attempt=seen), writes.fail(self.model, seen)
            )

    @rule(expires=st.booleans())
    def a_site_takes_the_lease(self, expires: bool) -> None:
        lease = next(self.numbers)
        with pytest.MonkeyPatch.context() as patience:
            if expires:
                patience.setattr(deliveries, "LEASE", SHORT)
            claimed = deliveries.claim(self.identity)
        self._agree(claimed, writes.claim_delivery(self.model, lease))
        if claimed.granted and claimed.prediction:
            self.model = self.model._replace(expired=expires)
            self.leases.append((claimed.prediction, lease))
            self.answers = {**getattr(self, "answers", {}), lease: self.model.answer}

    @rule(number=PICK, delivery=st.sampled_from([Delivery.DELIVERED, Delivery.UNDELIVERABLE]))
    def a_site_records_what_became_of_it(self, number: int, delivery: Delivery) -> None:
        if self.leases:
            leased, lease = self.leases[number % len(self.leases)]
            expected = writes.finish_delivery(self.model, self.answers[lease], delivery.value, RULES)
            self._agree(deliveries.finish(leased, delivery), expected)

    @rule(number=PICK, own=st.booleans())
    def a_site_gives_its_lease_back(self, number: int, own: bool) -> None:
        if self.leases:
            leased, lease = self.leases[number % len(self.leases)]
            back = deliveries.postpone(leased, SHORT) if own else deliveries.release(leased)
            self._agree(back, writes.release_delivery(self.model, lease))

    @rule()
    def an_operator_retries(self) -> None:
        self._agree(predictions.reopen(self.identity), writes.reopen(self.model, RULES))

    @rule()
    def an_operator_resends(self) -> None:
        self._agree(deliveries.reopen(self.identity), writes.reopen_delivery(self.model))

    @invariant()
    def the_model_is_in_the_same_state(self) -> None:
        now, model = self._now(), self.model
        assert (now.status, now.attempts, now.delivery) == (model.status, model.attempts, model.delivery)
        assert (bool(now.enqueued_at), bool(now.delivery_lease), bool(now.finished_at)) == (
            model.noted,
            bool(model.lease),
            bool(model.answer),
        )

    def _agree(self, outcome: Outcome, expected: Item | None) -> None:
        assert outcome.granted == (expected is not None)
        self.model = expected or self.model

    def _now(self) -> Prediction:
        found = predictions.find(self.identity)
        assert found is not None
        return found


def test_writes_match_model(stack: LocalStack) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    bounds = settings(max_examples=25, stateful_step_count=25, suppress_health_check=checks)
    run_state_machine_as_test(Photo, settings=bounds)
