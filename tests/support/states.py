"""Bring a prediction into a state by the steps that the service takes there."""

from detection import predictions
from detection.schemas import Delivery, Prediction


def deliver(prediction_id: str) -> Prediction:
    """Have the answer of a finished prediction delivered, without a site."""
    leased = predictions.claim_delivery(prediction_id).prediction
    assert leased is not None
    delivered = predictions.finish_delivery(leased, Delivery.DELIVERED)
    assert delivered.granted
    assert delivered.prediction is not None
    return delivered.prediction
