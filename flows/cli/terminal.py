"""What a person at the terminal sees.

Progress and words on stderr, the result on stdout, errors as one plain paragraph.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flows.errors import EXPECTED, FAILED, exit_code
from flows.results import Result

Report = Callable[[Result], None]


@contextmanager
def reporting(*, as_json: bool) -> Iterator[Report]:
    """Run a command's body; turn its errors into an exit code.

    The body gets `report(result)`: with `--json` the facts and the seconds taken go to stdout as
    one JSON object, else the text does.
    """
    began = time.monotonic()
    code = 0

    def report(result: Result) -> None:
        nonlocal code
        code = result.exit_code
        text = result.to_text().rstrip()
        if as_json:
            facts = {**result.to_json(), "seconds": round(time.monotonic() - began, 3)}
            text = json.dumps(facts, ensure_ascii=False)
        sys.stdout.write(text + "\n")

    try:
        yield report
    except EXPECTED as error:
        sys.stderr.write(f"Error: {error}\n")
        code = exit_code(error)
    except KeyboardInterrupt:
        sys.stderr.write(
            "Interrupted; what is finished is kept, the same command goes on from there\n"
        )
        code = 130
    except Exception:  # noqa: BLE001 (the one place where every error becomes an exit code)
        sys.stderr.write(
            f"Unexpected error; this is a defect of nightglass:\n{traceback.format_exc()}"
        )
        code = FAILED
    sys.stdout.flush()
    if code:
        raise SystemExit(code)
