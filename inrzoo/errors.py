"""The one exception that is meant for the user."""


class InrzooError(ValueError):
    """Something the user can put right: what was wrong, with the value, and what would have worked, in one line.

    The command line prints the message alone and exits with code 2; any other exception is our own mistake and keeps
    its traceback.
    """
