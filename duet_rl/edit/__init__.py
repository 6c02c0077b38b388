"""Editing: a take is changed by words or typed edits, and what came of it is told."""
