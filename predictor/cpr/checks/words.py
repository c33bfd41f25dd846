"""Words that several families of checks share."""

PHASES = {
    "install": "installation",
    "interpreter": "start of Python",
    "import": "import",
    "predict": "predict",
    "from_path": "from_path",
    "first_predict": "predict",
    "steady_predict": "predict",
}
"""A phase of the rehearsal as a person calls it."""
