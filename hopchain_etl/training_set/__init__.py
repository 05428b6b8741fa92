"""What a training team uses: reading, checking, exporting and grading a released set; needs the core install only."""
