"""The domain, in pure Python: queries as small programs, their language, geometry and rules."""
