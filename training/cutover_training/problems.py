"""What ends a run with one clear message. The exit code and `kind` are what the activity of Cutover reads."""


class Problem(Exception):
    kind = "unexpected"
    exit_code = 1

    def __init__(self, message: str, **facts):
        super().__init__(message)
        self.facts = facts


class BadInput(Problem):
    """A file or a setting is not what it has to be: the same input fails again."""

    kind = "bad input"
    exit_code = 2


class Diverged(Problem):
    """Loss or gradient norm beyond bounds, or a layer that saturates."""

    kind = "diverged"
    exit_code = 3


class OutOfMemory(Problem):
    """The batch does not fit the memory of the device or the limit of the plan."""

    kind = "out of memory"
    exit_code = 4


class NoStorage(Problem):
    """A folder cannot be written, or the disk is full."""

    kind = "no storage"
    exit_code = 5


class CorruptCheckpoint(Problem):
    """A checkpoint does not hold what its manifest says: an older one has to do."""

    kind = "corrupt checkpoint"
    exit_code = 6
