"""What is worth learning from?

Finished trees in, policy examples and preference pairs out (paper §3.3, §3.4). It trains nothing and asks no model.
"""
