"""In-memory doubles of the ports, each held to the checks of the real adapter."""
