"""What does it look like?

Live progress, the table of a run, the plan of its rounds, a solved question, an error. It prints what it is given: it
computes no metric and reads no run directory.
"""
