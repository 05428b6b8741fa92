"""The dataset browser: shows the results of builds with their photos."""
