"""Words for motion: what a dancer does, said in sentences that can be checked, and edits."""
