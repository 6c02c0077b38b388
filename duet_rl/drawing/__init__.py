"""Pictures of dancers: a camera, a floor, and lit bodies on it."""
