"""`python -m hard` is `hard`."""

from hard.cli import main

raise SystemExit(main())
