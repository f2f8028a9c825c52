"""How good is it?

Reads trees that were grown without the ground truth, chooses an answer from each, grades it, and sums up. It grows nothing
itself.
"""
