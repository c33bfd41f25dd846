"""The steps: each a function from one frozen value to the next, usable from Python, printing nothing."""
