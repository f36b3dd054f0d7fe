# SPDX-License-Identifier: GPL-2.0
"""Sections of Documentation/proven.md that commands write."""

from .build import CHECKOUT

DOCUMENT = CHECKOUT / "Documentation" / "proven.md"
END = "<!-- up to here -->"


def write(begin, lines, document=DOCUMENT):
    """Puts lines between the line `begin` and the next END, in place of the old ones."""
    head, rest = document.read_text().split(begin + "\n", 1)
    document.write_text(f"{head}{begin}\n\n" + "\n".join(lines) + f"\n\n{END}{rest.split(END, 1)[1]}")
