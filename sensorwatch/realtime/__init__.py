"""Real-time scoring: state of open windows, served models, calls under a deadline, and combiners."""
