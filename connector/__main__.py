"""`python -m connector` is `hansa`."""

from connector.cli import main

if __name__ == "__main__":
    main()
