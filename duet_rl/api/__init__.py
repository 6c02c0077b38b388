"""The Python face: what `duet_rl.load` returns, what it takes, and what it gives."""
