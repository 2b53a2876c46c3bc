"""`python -m tacit`, and so `accelerate launch -m tacit train …`."""

from tacit.cli import main

if __name__ == "__main__":
    main()
