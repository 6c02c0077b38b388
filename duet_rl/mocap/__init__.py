"""Motion files of every kind, and how anybody's skeleton becomes our 55 joints."""
