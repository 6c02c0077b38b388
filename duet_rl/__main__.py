"""`python -m duet_rl`: the same as the `duet-rl` command."""

from duet_rl.cli.main import main

main()
