"""The same policies in many worlds: what each of them loses against the best."""
