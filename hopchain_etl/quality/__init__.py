"""Great Expectations suites over the tables, and the plain columns that they check."""
