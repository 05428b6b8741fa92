"""What a lead sees and does: batches, people, checks, reports."""
