"""`python -m interrogator` is the command `interrogator`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
