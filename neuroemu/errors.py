"""What goes wrong, as types. Each error says in one line who, what was got, what the limit is, and the remedy.

Every error derives from NeuroemuError and from the builtin that fits, so `except ValueError` works as users expect.
"""


class NeuroemuError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(NeuroemuError, ValueError):
    """An argument has a wrong value, shape or range."""


class ArgumentTypeError(NeuroemuError, TypeError):
    """An argument has a wrong type."""


class FileFormatError(NeuroemuError, ValueError):
    """A file is truncated, damaged, hostile or of another format."""


class UnsupportedError(NeuroemuError, NotImplementedError):
    """A network uses an operator, or an operator a setting, that is not supported."""


class PlacementError(NeuroemuError, ValueError):
    """A network does not fit a chip."""


class PriceError(NeuroemuError, ValueError):
    """A counted event has no price, or prices were combined that may not be added."""


class ConvergenceError(NeuroemuError, ArithmeticError):
    """An iteration did not reach its tolerance."""


class MissingDependencyError(NeuroemuError, ImportError):
    """An optional library is not installed."""
