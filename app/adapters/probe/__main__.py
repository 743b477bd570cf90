"""The probe's own process: a task on standard input, the reports on standard output.

Needles come through a pipe, never as arguments or files: a probe must not leave what it seeks.
"""

from __future__ import annotations

import sys

from app.adapters.probe.messages import decode_task, encode_reports
from app.adapters.probe.stores import StoreSearch


def main() -> int:
    """Search every store of the task; return 0."""
    stores, groups, control, key = decode_task(sys.stdin.buffer.read())
    search = StoreSearch(groups, control=control, key=key)
    sys.stdout.buffer.write(encode_reports([search.search(store) for store in stores]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
