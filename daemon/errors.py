"""What a command or the service refuses to do."""


class CommandError(Exception):
    """A command that cannot be carried out; the message is one sentence for the person who gave it."""
