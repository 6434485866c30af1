"""The nouns: values without I/O, clock or chance."""
