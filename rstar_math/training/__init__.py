"""How do data become weights?

`launch.train` runs a `TrainingJob` on the Ray cluster, whose ranks `workers` starts. `rows` turns the harvest's files
into token rows, `policy` and `ppm` say what is learnt from them, `rank` is what every rank does, `callbacks` what
happens between two steps. Nothing here chooses the data or measures the result on problems.
"""
