"""What is raised when there is no response."""


class RequestFailed(OSError):
    """There is no response.

    `refused` says that the host refuses the request, and would again: its log says why, and which flag would grant it.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
