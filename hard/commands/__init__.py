"""The commands behind `hard`: one file a command, each with `main(args) -> exit code`, imported only when it runs."""
