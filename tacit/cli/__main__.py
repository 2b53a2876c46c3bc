"""`python -m tacit.cli`, for launchers that start modules."""

from tacit.cli import main

main()
