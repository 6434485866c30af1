"""What a daemon asks candidates themselves, at their own addresses: health, smoke tests."""
