"""In which order, and what is already done?

`evolve` tells the whole story, `stages` says what each stage does, `store` keeps it done once.
"""
