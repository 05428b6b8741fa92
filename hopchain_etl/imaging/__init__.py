"""Photos as pixels: normalises them and strips metadata, finds copies, makes thumbnails and counts vision tokens."""
