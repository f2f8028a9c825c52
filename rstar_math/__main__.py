"""`python -m rstar_math` is `rstar-math`."""

from rstar_math.cli.process import run

if __name__ == "__main__":
    run()
