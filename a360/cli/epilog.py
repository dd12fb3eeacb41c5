"""How examples stand below a command's help."""


def examples(*lines: str) -> str:
    """An epilog: the paragraphs of a help text are what typer keeps apart."""
    return "\n\n".join(["Examples:", *(f"$ {line}" for line in lines)])
