"""Photos as pixels: normalised once, without metadata; copies found; small versions and token counts made."""
