"""The published command of the quiet-thought laboratory: python scripts/quiet/run.py -m +run_modifier=NAME key=a,b seed=1,2"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tacit.compat.quiet.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
