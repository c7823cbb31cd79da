"""What recorded rollouts would have done under other policies."""
