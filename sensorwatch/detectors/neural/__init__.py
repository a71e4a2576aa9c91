"""Neural network that learns from labels."""
