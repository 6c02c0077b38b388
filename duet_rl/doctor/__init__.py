"""What this machine has of all that the commands need."""
