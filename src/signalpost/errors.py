"""Every error Signalpost raises, as one tree; each carries the sentence an operator reads.

SignalpostError
├── ConfigError          the workspace file has mistakes (all of them, with lines)
├── RequestError         a client's request is refused; carries the HTTP status and the code
│   ├── Unauthorized     401
│   ├── Unreadable       400
│   ├── TooLarge         413
│   └── Overloaded       429 or 503, with Retry-After
├── StoreError           the database cannot do what was asked
└── TransportError       no answer from the other side; says whether the request may have reached it
"""

from __future__ import annotations


class SignalpostError(Exception):
    """Something Signalpost can name; `str()` is a sentence for the operator."""


class ConfigError(SignalpostError):
    """The workspace file has mistakes; `mistakes` holds each with its line."""

    def __init__(self, mistakes: tuple[object, ...]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class RequestError(SignalpostError):
    """A request is refused: `status` is the HTTP status, `code` the machine's word, the text the sentence."""

    status = 400
    code = "bad_request"

    def __init__(self, sentence: str, *, path: str = "$") -> None:
        super().__init__(sentence)
        self.path = path


class Unauthorized(RequestError):
    """The request carries no key we know."""

    status = 401
    code = "unauthorized"


class Unreadable(RequestError):
    """The request's body is not what its wire expects."""


class TooLarge(RequestError):
    """The request, or one message of it, is larger than its wire allows."""

    status = 413
    code = "too_large"


class Overloaded(RequestError):
    """Signalpost cannot take the request now; the client shall come again after `retry_after` seconds."""

    status = 429
    code = "overloaded"

    def __init__(self, sentence: str, *, retry_after: int = 1, status: int = 429) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        self.status = status


class StoreError(SignalpostError):
    """The database cannot do what was asked."""


class TransportError(SignalpostError):
    """No usable answer came back; `reached` is False only when the request surely never got there."""

    def __init__(self, sentence: str, *, reached: bool) -> None:
        super().__init__(sentence)
        self.reached = reached
