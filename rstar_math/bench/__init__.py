"""How fast is it, beside what it could be and what there was before?

Every benchmark measures its baselines in the same run and prints ratios; nothing here is a test with a time limit.
"""
