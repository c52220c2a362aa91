"""Bring a prediction into a state by the steps that the service takes there."""

from detection.record import deliveries
from detection.record.schemas import Delivery, Prediction


def deliver(prediction_id: str) -> Prediction:
    """Have the answer of a finished prediction delivered, without a site."""
    leased = deliveries.claim(prediction_id).prediction
    assert leased is not None
    delivered = deliveries.finish(leased, Delivery.DELIVERED)
    assert delivered.granted
    assert delivered.prediction is not None
    return delivered.prediction
