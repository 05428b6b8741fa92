"""The rules that a query must pass, one function per rule: program, arithmetic, wording, picture."""
