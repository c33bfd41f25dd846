"""One folder a starter routine, copied by `cpr new`. Data only."""
