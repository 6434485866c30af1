"""The verbs: pure functions of values; the time and chance are arguments."""
