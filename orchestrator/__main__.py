"""The program: exit codes, and the printing of errors. The verbs are those of ``orchestrator/commands/verbs/``.

Exit codes: 0 all done, or the gate passed; 1 a trial failed, the gate found worse, or doctor found something bad; 2 bad usage,
configuration or plan; 3 the gate has no verdict; 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence

from orchestrator.commands import line
from orchestrator.contracts import InputError
from orchestrator.execution.signals import handled_by, ignore_all
from orchestrator.report.printable import printable

USERS_MISTAKES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with handled_by(signal.default_int_handler):
            code = line.run(words)
            sys.stdout.flush()
    except InputError as error:
        print(printable(f"error: {' '.join(str(error).splitlines())}"), file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output is gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{str(error.filename)[:200]}: " if error.filename else ""
        print(printable(f"error: {where}{error.strerror}; mend it and try again"), file=sys.stderr)  # noqa: T201
        return 2 if error.errno in USERS_MISTAKES else 1
    return code


def program() -> None:
    """Run one command and leave with its exit code, whatever signal comes while Python and Ray end."""
    code = main()
    ignore_all()
    sys.exit(code)


if __name__ == "__main__":
    program()
