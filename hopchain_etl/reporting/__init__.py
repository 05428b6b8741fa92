"""What a build and its questions look like: figures for people and machines, and a page with pictures."""
