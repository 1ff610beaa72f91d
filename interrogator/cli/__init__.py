"""The command line: `interrogator COMMAND …`. Data goes to stdout, everything else to stderr.

    parser     the options of every command
    prompt     prompt and rank
    caption    caption: whole datasets
    engines    which processes caption a dataset
    banks, cache, models
    demo       demo, and demo_page its page
    terminal   lines to stderr, bars, a question

Exit status: 0 all done, 1 some inputs failed (each named), 2 wrong usage, 130 stopped by the user.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from ..errors import BankError, InterrogatorError, RequestError, UnknownModelError
from .parser import build_parser
from .terminal import say, write_utf8

USAGE_ERRORS = (BankError, RequestError, UnknownModelError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` without the program's name, None for the process's own. Returns the exit status."""
    write_utf8()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for chatty in ("httpx", "huggingface_hub", "PIL"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    args = build_parser().parse_args(argv)
    try:
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except USAGE_ERRORS as error:
        say(f"interrogator: {error}")
        return 2
    except InterrogatorError as error:
        say(f"interrogator: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; phrase embeddings that were finished are kept")
        return 130
    except BrokenPipeError:
        # The reader of a pipe left (`| head`). Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
