"""Faults to plant, one at a time, into healthy routines: what :mod:`detection` makes its table of."""
