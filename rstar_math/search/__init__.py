"""Which step next?

Grows a tree of steps for one problem (paper §3.2). It reaches models, interpreters and graders through the doors in
`rstar_math.ports` alone, writes no file, and knows nothing of rounds or clusters.
"""
