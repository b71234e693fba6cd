"""What one rule made of a call is remembered for the next: bounded by the length of the texts. Values only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any

LEAST = 200
"""What a remembered answer counts beside its texts."""


def remembered[**P, Answer](characters: int) -> Callable[[Callable[P, Answer]], Callable[P, Answer]]:
    """The function's latest answers are kept, while all that it was asked about is no longer than so much.

    The newest one is kept whatever its length; what is raised is not. Arguments are given by their place and can be
    hashed. An answer is shared by all who ask: nobody changes it.
    """

    def wrapped(ask: Callable[P, Answer]) -> Callable[P, Answer]:
        kept, lock, held = OrderedDict[tuple[Any, ...], Answer](), Lock(), 0  # long commands are read in threads

        def keep(key: tuple[Any, ...], answer: Answer) -> None:
            nonlocal held
            with lock:
                held += 0 if key in kept else _size(key)
                kept[key] = answer
                while held > characters and len(kept) > 1:
                    held -= _size(kept.popitem(last=False)[0])

        @wraps(ask)
        def asked(*args: P.args, **kwargs: P.kwargs) -> Answer:
            with lock:
                if args in kept:
                    kept.move_to_end(args)
                    return kept[args]
            answer = ask(*args, **kwargs)
            keep(args, answer)
            return answer

        return asked

    return wrapped


def _size(key: tuple[Any, ...]) -> int:
    return LEAST + sum(len(part) for part in key if isinstance(part, str))
