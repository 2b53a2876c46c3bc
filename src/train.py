"""`python src/train.py …`: the training command of the published internalization code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tacit.compat.internalize.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
