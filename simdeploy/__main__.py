"""``python -m simdeploy``: the command."""

from simdeploy.cli import main

if __name__ == "__main__":
    main()
