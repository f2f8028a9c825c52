"""Do two models agree? (rStar, arXiv 2408.06195)

trees over five actions -> the trajectories that a second model, given part of one, completes to the same answer -> one
answer. Trees are grown in `search`; nothing here is shown the ground truth.
"""
