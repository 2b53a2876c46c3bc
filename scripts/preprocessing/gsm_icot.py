"""`python scripts/preprocessing/gsm_icot.py [SPLIT…]`: GSM8K-Aug as the argument files want it, in data/."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tacit.compat.coconut.icot import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
