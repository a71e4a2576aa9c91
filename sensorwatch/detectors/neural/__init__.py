"""The neural network that learns from labels."""
