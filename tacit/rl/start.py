"""The thinker as it was when training began: what a policy must not drift away from.

Beside adapters nothing is copied but the small learned parts: with the adapters switched off, the model is the one that training
began with. Without adapters the whole thinker is copied.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tacit.models.adapters import is_adapted
from tacit.thinker import Thinker


class Start:
    """A frozen thinker."""

    def __init__(self, thinker: Thinker, adapted: bool):
        self._thinker, self._adapted = thinker.requires_grad_(False) if not adapted else thinker, adapted

    @classmethod
    def of(cls, thinker: Thinker) -> "Start":
        adapted = is_adapted(thinker.model)
        model = thinker.model if adapted else copy.deepcopy(thinker.model)
        frozen = Thinker(model, thinker.tokenizer, thinker.vocab, thinker.thinking)
        frozen.feedback.load_state_dict(thinker.feedback.state_dict())
        frozen.feedback.requires_grad_(False)
        return cls(frozen, adapted)

    @contextmanager
    def thinker(self) -> Iterator[Thinker]:
        """The thinker as it was, to be asked and not to be changed."""
        training = self._thinker.training
        self._thinker.eval()
        try:
            with self._thinker.model.disable_adapter() if self._adapted else nullcontext():
                yield self._thinker
        finally:
            self._thinker.train(training)
