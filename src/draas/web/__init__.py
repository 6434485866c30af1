"""Vendored static files that the API documentation page needs without internet."""
