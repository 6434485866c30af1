"""Shipped fakes, held to account by the contract suites of the real things."""
