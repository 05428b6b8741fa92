"""One module per stage. A stage maps input rows to output rows; the shared loop is in the runner."""
