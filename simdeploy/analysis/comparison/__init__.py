"""Policies side by side in the same worlds: estimates, differences, all pairs at once, and which is the best."""
