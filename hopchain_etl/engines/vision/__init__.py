"""What any engine needs to make instances of pixels: masks, boxes, attributes, certainty, lines of text."""
