"""What rollouts cost, by cause; what it is worth to know more, and to watch longer."""
