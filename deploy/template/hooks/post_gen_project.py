"""Deletes the folders that these answers leave out, and says how to go on."""

import shutil
from pathlib import Path

for path in sorted(Path().rglob(".left-out-*"), reverse=True):
    shutil.rmtree(path)
print("""MESSAGE""")
