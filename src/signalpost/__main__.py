"""`python -m signalpost`: the command line."""

from __future__ import annotations

from signalpost.cli import main

if __name__ == "__main__":
    main()
