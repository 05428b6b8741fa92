"""The rules that a query must pass, one function a rule: program, arithmetic, wording, picture."""
