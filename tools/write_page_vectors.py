"""Write the test vectors of the phone's page.

PYTHONPATH=tests python tools/write_page_vectors.py
"""

from __future__ import annotations

import msgspec

from support.page_vectors import FILE, vectors

if __name__ == "__main__":
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(vectors()), indent=1) + b"\n")
