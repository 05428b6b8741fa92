"""One verb a file: each stage is a plain function from rows to rows; the runner owns the loop they share."""
