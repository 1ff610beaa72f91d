"""The command line: `interrogator COMMAND …`. Data goes to stdout, everything else to stderr.

    parser           the commands
    options          options that several commands share; dataset_options, those of caption; edit_options, those of edit
    target_options   how captions are written
    tag_options      which tags hold, and the rules that the options come to
    text_options     texts for the encoders of an image model
    replacements     --replace OLD NEW
    selection_options  which pictures of a dataset are taken
    choices          what options come to; refuses those that would have no effect
    inputs           files, folders, patterns and standard input as pictures
    answers          pictures in groups through models, for prompt, rank and tag
    captioned        pictures with their captions through models, for check and complete
    image_captions   the captions that lie beside pictures, or in them
    prompt, rank, tag, check, complete, common, caption, edit, calibrate, banks, cache, models
    undo             of caption and edit; run_report, what they say of failures
    demo             and demo_page, its page
    bench            on pictures; bench_worlds, on what is drawn; bench_page, its page; bench_options
    tables           tables of figures
    engines          which processes caption a dataset; process_rank, which of several this one is
    interrogators    an interrogator as the options say
    download         loading models, and asking before a download
    given_paths      refuses paths that nothing can be read from
    terminal         lines, bars, a question

Exit status: 0 success, 1 some inputs failed (each is named), 2 wrong usage, 130 stopped by the user.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from ..errors import BankError, InterrogatorError, RequestError, UnknownModelError
from .given_paths import check_paths
from .parser import build_parser
from .terminal import discard, on_one_line, open_streams, say

USAGE_ERRORS = (BankError, RequestError, UnknownModelError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status. argv: without the program's name; None takes the process's own."""
    open_streams()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for chatty in ("httpx", "huggingface_hub", "PIL"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    args = build_parser().parse_args(argv)
    try:
        check_paths(args)
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except USAGE_ERRORS as error:
        say(f"interrogator: {on_one_line(error)}")
        return 2
    except InterrogatorError as error:
        say(f"interrogator: {on_one_line(error)}")
        return 1
    except KeyboardInterrupt:
        say("stopped; finished phrase embeddings are kept")
        return 130
    except BrokenPipeError:
        discard(sys.stdout)  # whoever read the pipe left (`| head`)
        return 0
    except OSError as error:  # of the disk, or of a file whose reader has no sentence of its own
        where = f" {error.filename}" if error.filename else ""
        say(f"interrogator: {on_one_line(f'cannot read or write{where}: {error.strerror or error}')}")
        if not error.filename:
            discard(sys.stdout)
        return 1
