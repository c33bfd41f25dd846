"""One folder a deploy target: machines, limits, schemas and templates. Data only."""
