"""The dataset browser: what builds made of which photos, for people to look at."""
