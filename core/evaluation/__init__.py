"""How good is it, and how sure are we? Metrics and intervals in plain numpy."""
