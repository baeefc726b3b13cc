"""The program: its start, its end and the printing of errors. Verbs and exit codes stand in ``orchestrator/commands/``."""

from orchestrator.running.signals import receive_signals

if __name__ == "__main__":
    receive_signals()  # before anything that takes long to import

import errno
import os
import sys
from collections.abc import Sequence

from orchestrator.commands import line
from orchestrator.contracts import InputError
from orchestrator.endings import ClusterLost
from orchestrator.report.readers import outlive_readers
from orchestrator.report.text import printable
from orchestrator.running.signals import handled_by, leave_word, received, say_last_words, stop_at_once

USERS_MISTAKES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)

# Set by a shell that completes a command line, as click has it
COMPLETION = "_ORCHESTRATOR_COMPLETE"
READS_ENVIRONMENT = "orchestrator.configuration.composer"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    leave_word("")
    try:
        with handled_by(stop_at_once):
            code = line.run(words)
            sys.stdout.flush()
    except InputError as error:
        told = " ".join(str(error).splitlines())
        if READS_ENVIRONMENT in sys.modules:  # else no configuration was read, and help and mistakes in words wait for nothing heavy
            from orchestrator.configuration.fields import ASKED, without

            told = without(told, ASKED)
        print(printable(f"error: {told} [{error.code}]"), file=sys.stderr)  # noqa: T201
        return 2
    except ModuleNotFoundError as error:
        where = f"{sys.executable} lacks the package {(error.name or str(error)).partition('.')[0]}, which this program needs"
        remedy = "use the Python of its environment (after make: source .venv/bin/activate), or install it: pip install '.[vision]'"
        print(printable(f"error: {where}: {remedy}"), file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        say_last_words()
        return 130
    except ClusterLost as lost:
        print(f"error: {lost}; nothing was measured yet: start the command again", file=sys.stderr)  # noqa: T201
        return 1
    except SystemExit as error:  # our code never raises it, and its code would be that of the verb
        raise RuntimeError("code of a model, task or metric asked to end the program; let it raise what is wrong") from error
    except MemoryError:
        remedy = "lift a limit of it (`ulimit -v unlimited`, a control group's), or end what else takes memory"
        print(f"error: there is no more memory for this process; {remedy}", file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{str(error.filename)[:200]}: " if error.filename else ""
        print(printable(f"error: {where}{error.strerror}; mend it and try again"), file=sys.stderr)  # noqa: T201
        return 2 if error.errno in USERS_MISTAKES else 1
    return code


def program() -> None:
    """Run one command and exit with its code, whatever signal arrives and however Ray's core ends."""
    if COMPLETION in os.environ:
        line.VERBS.main(prog_name="orchestrator")  # a shell asks what may come next, and this answers and exits
    receive_signals()
    outlive_readers()
    try:
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # the terminal is gone, as after a SIGHUP
        code = 1
    # Not through Python's shutdown: what Ray has left in the process could delay that, or end it in another way.
    os._exit(code if received() is None else 130)


if __name__ == "__main__":
    program()
