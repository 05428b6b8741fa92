"""The engines of the profile labels: instances from labels that exist already."""
