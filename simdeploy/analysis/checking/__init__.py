"""Requirements, simulated until they are decided."""
