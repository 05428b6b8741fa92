"""Shared code that turns pixels into instances: masks, boxes, attributes, certainty, lines of text."""
