from .words import tokens

__all__ = ["tokens"]
