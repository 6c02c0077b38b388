"""What is seen of a run from outside: metrics, trackers, lines of JSON."""
