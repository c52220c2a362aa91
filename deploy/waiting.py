"""Wait for AWS, and say what is waited for."""

from collections.abc import Callable

# Is told what a long piece of work does just now.
Say = Callable[[str], None]
