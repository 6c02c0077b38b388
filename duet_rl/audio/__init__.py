"""Audio: music features, beats, and a small synthesizer."""
