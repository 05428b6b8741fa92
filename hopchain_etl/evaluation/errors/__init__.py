"""What went wrong in a wrong answer: named by code from the program, by a judge, or by people."""
