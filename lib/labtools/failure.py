"""What a test raises when a property does not hold."""


class Failure(AssertionError):
    """A property that does not hold, said in words.

    `advice` says whether the author's advice on the property can be of use: it cannot where the
    answer is None, of another type, shape or dtype, or where a fake was called too often.
    """

    def __init__(self, words: str, *, advice: bool = True) -> None:
        super().__init__(words)
        self.advice = advice
