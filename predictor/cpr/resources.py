"""The one door to the data that ships with cpr: deploy targets and starter routines."""
