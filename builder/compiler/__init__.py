"""The cross compilers' command lines: one small module per compiler."""
