"""A viewer in the browser: the dances of a store, of runs and of files, frame by frame."""
