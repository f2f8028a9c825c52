"""How do you start it?

`main` holds the commands, `compose` turns hydra's groups and `key=value` overrides into the typed configuration. Nothing is
computed here.
"""
