"""Dances to songs that nobody has prepared, and followers fine-tuned to each of them."""
