"""The metric, the scaling policy and the simulator."""
