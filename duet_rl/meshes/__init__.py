"""Bodies with a surface: the licensed ones, our stand-in, and what two of them touch."""
