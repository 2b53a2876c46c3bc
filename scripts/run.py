"""`python scripts/run.py ARGS.yaml`: the training command of the published Coconut code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tacit.compat.coconut.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
