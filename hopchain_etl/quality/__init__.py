"""Great Expectations suites over the tables, and the derived columns that they check."""
