# SPDX-License-Identifier: GPL-2.0
"""The table of clients, in Documentation/clients.md."""

from checklib import section
from checklib.build import CHECKOUT

DOCUMENT = CHECKOUT / "Documentation" / "clients.md"
HEAD = ["| client | version | what it did | this driver | C driver | buffers | seconds |", "|---|---|---|---|---|---:|---:|"]


def lines(ours, theirs):
    """Markdown: a row for each trial, with how it went on both drivers."""
    other = {(row.client, row.trial): row for row in theirs}
    return HEAD + [_line(row, other.get((row.client, row.trial))) for row in ours]


def write(suite, text):
    """Puts the table of a suite where it belongs."""
    section.write(f"<!-- made by make check-clients: {suite} -->", text, DOCUMENT)


def _line(row, other):
    buffers = f"{row.buffers}, {other.buffers}" if other and other.buffers != row.buffers else str(row.buffers)
    seconds = f"{row.seconds:.0f}, {other.seconds:.0f}" if other else f"{row.seconds:.0f}"
    cells = [row.client, row.version, row.trial, _verdict(row),
             "did not run" if not other else "the same" if _verdict(other) == _verdict(row) else _verdict(other)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + f" | {buffers} | {seconds} |"


def _verdict(row):
    first = row.sentence.split("\n")[0]
    return {"passed": first, "failed": f"**fails**: {first}", "skipped": f"not run: {first}"}[row.how]
