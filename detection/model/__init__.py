"""The model and what feeds it: weights, decoding, inference and drawing. Only workers import it."""
