"""What one gives for what: each threshold moved alone, and the front of Pareto."""
