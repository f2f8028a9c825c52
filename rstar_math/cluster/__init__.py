"""Where does it run?

The one room that speaks to Ray about search: engines and search workers are actors, problems go to whoever is free. What a
search does, and what becomes of its trees, is decided elsewhere.
"""
