"""The thinker as it was when training began: what a policy must not drift away from.

Beside adapters only the small learned parts are copied: with the adapters switched off, the model is the one that training began
with. Without adapters the whole model is copied.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tacit.engine.dropout import without_dropout
from tacit.errors import TacitError
from tacit.models.adapters import is_adapted
from tacit.thinker import Thinker


class Start:
    """A thinker that is asked and never changed."""

    def __init__(self, frozen: Thinker, adapters_off: bool):
        self._frozen, self._adapters_off = frozen, adapters_off

    @classmethod
    def of(cls, thinker: Thinker, reference: str = "auto") -> "Start":
        """`reference`: auto, adapters_off or copy."""
        adapted = is_adapted(thinker.model)
        if reference == "adapters_off" and not adapted:
            raise TacitError(
                "method.reference: adapters_off: this model has no adapters to switch off, so there is nothing to compare with; "
                "set model.lora, or method.reference: copy"
            )
        off = adapted and reference != "copy"
        model = thinker.model if off else copy.deepcopy(thinker.model).requires_grad_(False)
        frozen = Thinker(model, thinker.tokenizer, thinker.vocab, thinker.thinking)
        frozen.feedback.load_state_dict(thinker.feedback.state_dict())
        frozen.feedback.requires_grad_(False)
        return cls(frozen, off)

    @contextmanager
    def thinker(self) -> Iterator[Thinker]:
        """The thinker as it was."""
        model = self._frozen.model
        with without_dropout(model), model.disable_adapter() if self._adapters_off else nullcontext():
            yield self._frozen
