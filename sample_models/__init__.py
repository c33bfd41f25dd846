"""Complete routines with real models. The iris sample ships in the package, for `cpr demo`. Data only."""
