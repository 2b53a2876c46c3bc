"""What a task yields: a question, the steps that lead to its answer, the answer — as text, then as token ids.

`Example` is the text and `Encoded` the same in ids. The pieces of an example are tokenised one by one and never joined
as text, so where a step ends does not depend on a tokenizer's habit of swallowing blanks. `Template` holds the words
around the pieces. Files and data sets are read in `tacit.tasks`; the end-of-text token, thoughts and labels belong to
the layout.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, field_validator

from tacit.chunked import chunk_pairs, with_thought_ids
from tacit.edge_list import EdgeList, Ids
from tacit.errors import DataError, ModelError
from tacit.registry import nearest
from tacit.settings import Settings

if TYPE_CHECKING:
    import numpy as np

# Pieces per call of the tokenizer: enough to hide the cost of a call, few enough to bound what is alive at once.
PIECES = 65_536
EOS = "{eos}"


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its steps and answer, or a document, which has only `text`."""

    id: str = ""
    question: str = ""
    steps: tuple[str, ...] = ()
    answer: str = ""
    text: str = ""
    extra: dict[str, Any] | None = None
    """What only one task knows how to use, such as the graph behind a question."""


FIELDS = ("question", "steps", "answer", "id")


def fault(place: str, field: str, reason: str) -> DataError:
    """The one shape of every complaint about a row."""
    return DataError(f"{place}: {field}: {reason}")


def to_row(example: Example) -> dict[str, Any]:
    """The example as one JSON object; the keys of `extra` stand beside the others."""
    row: dict[str, Any] = dict(example.extra or {})
    if example.text:
        row["text"] = example.text
    else:
        row |= {"question": example.question, "steps": list(example.steps), "answer": example.answer}
    return row | ({"id": example.id} if example.id else {})


def from_row(row: Any, place: str = "row", id: str = "") -> Example:
    """The inverse of `to_row`. `place` (file and line) starts every complaint; `id` is for rows that bring none."""
    if not isinstance(row, Mapping):
        raise fault(place, "row", f"expected a JSON object, got {type(row).__name__}")
    id = _string(row, "id", place) if row.get("id") is not None else id
    if "text" in row:
        if "question" in row:
            raise fault(place, "text", "a row is either a question or a text, this one is both")
        return Example(id, text=_string(row, "text", place), extra=_others(row, ("text", "id")))
    question, answer = _string(row, "question", place), _string(row, "answer", place)
    return Example(id, question, _steps(row, place), answer, extra=_others(row, FIELDS))


def _others(row: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any] | None:
    return {key: value for key, value in row.items() if key not in known} or None


def _required(row: Mapping[str, Any], field: str, place: str, remedy: str = "") -> Any:
    if field not in row:
        hint = nearest(field, [key for key in row if key not in FIELDS])
        raise fault(place, field, f"missing; the row has {', '.join(map(str, row)) or 'no keys'}{hint}{remedy}")
    return row[field]


def _string(row: Mapping[str, Any], field: str, place: str) -> str:
    return check_text(_required(row, field, place), field, place)


def _steps(row: Mapping[str, Any], place: str) -> tuple[str, ...]:
    steps = _required(row, "steps", place, '; write "steps": [] for a row without steps')
    if isinstance(steps, str) or not isinstance(steps, Sequence):
        raise fault(place, "steps", f"expected a list of strings, got {type(steps).__name__}")
    return tuple([check_text(step, f"steps[{index}]", place) for index, step in enumerate(steps)])


def check_text(value: Any, field: str, place: str) -> str:
    """The value, if it is text that a tokenizer can take."""
    if not isinstance(value, str):
        remedy = f'; write "{value}"' if isinstance(value, int | float) else ""
        raise fault(place, field, f"expected a string, got {type(value).__name__}{remedy}")
    if not value or value.isspace():
        raise fault(place, field, "empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise fault(place, field, f"half of a surrogate pair at character {error.start}: not valid text") from error
    return value


class Template(Settings):
    """The words around the pieces of an example. The default is Coconut's: a step a line, `### `, the answer."""

    kind: Literal["plain", "chat", "symbolic"] = "plain"
    """plain: the text as it is. chat: the question goes through the tokenizer's chat template, as one user message.
    symbolic: words between blanks, each of them one entry of the tokenizer's vocabulary."""
    question: str = "{question}\n"
    """Words around the question; with kind chat, those of the user message."""
    step: str = "{step}\n"
    """Words around each step."""
    opening: str = ""
    """Fixed words that the model writes before its steps, and still writes when no step is left; may be empty."""
    closing: str = ""
    """Fixed words behind the last step. They belong to it: where it is removed or replaced, so are they."""
    cue: str = "### "
    """The fixed words that announce the answer; may be empty."""
    answer: str = "{answer}"
    """Words around the answer. The end-of-text token is not part of it: layouts add it. Where one is wanted elsewhere, as
    between the steps and the answer, {eos} in any of these words stands for it."""
    joined: bool = False
    """Tokenise a row as one text and cut it where its pieces meet: exactly the ids of the whole text, also with tokenizers
    that begin every text in a way of their own. A token that spans two pieces belongs to the first."""
    bos: bool | None = None
    """Start the question with the tokenizer's BOS (its EOS where it has none): true or false. null does what the
    tokenizer does; with kind symbolic it means false, and with kind chat the chat template decides."""
    system: str = ""
    """With kind chat: a system message before the question."""
    chat_options: dict[str, Any] = Field(default_factory=dict)
    """With kind chat: variables for the chat template, such as {enable_thinking: false}."""

    @field_validator("question", "step", "answer")
    @classmethod
    def _holds_its_piece(cls, value: str, info: Any) -> str:
        if value.count("{" + info.field_name + "}") != 1:
            raise ValueError(f"{value!r} must contain {{{info.field_name}}} exactly once")
        return value

    def words(self) -> dict[str, str]:
        """The fields that are words, in the order of a row."""
        return {name: getattr(self, name) for name in ("question", "opening", "step", "closing", "cue", "answer")}

    def filled(self, tokenizer: Any) -> "Template":
        """With the tokenizer's end-of-text token in the place of {eos}."""
        words = {name: part.replace(EOS, tokenizer.eos_token) for name, part in self.words().items() if EOS in part}
        return self.model_copy(update=words) if words else self

    def steps_in(self, text: str) -> str:
        """What was written as steps: everything up to the cue, without the opening."""
        cue = self.cue.strip()
        before = text.rsplit(cue, 1)[0] if cue else text
        return before.lstrip().removeprefix(self.opening.strip())

    def questions(self, examples: Iterable[Example], tokenizer: Any) -> list[str]:
        """The text of each question; a chat template is applied here. Documents have none."""
        texts = [self.question.replace("{question}", example.question) for example in examples]
        if self.kind != "chat":
            return texts
        if not getattr(tokenizer, "chat_template", None):
            raise ModelError(
                "template kind chat needs a tokenizer with a chat template, and "
                f"{tokenizer.name_or_path or 'this one'} has none; set kind: plain, or take an instruct model"
            )
        start = [{"role": "system", "content": self.system}] if self.system else []
        chats = [[*start, {"role": "user", "content": text.strip()}] for text in texts]
        return tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=False, **self.chat_options)

    def steps(self, example: Example) -> list[str]:
        """The text of each step."""
        texts = [self.step.replace("{step}", step) for step in example.steps]
        return [*texts[:-1], texts[-1] + self.closing] if texts else []


class Encoded(NamedTuple):
    """An example in ids. A document has its text as `answer` and nothing else, but for a BOS."""

    id: str
    question: Ids
    steps: tuple[Ids, ...]
    cue: Ids
    answer: Ids
    opening: Ids = ()
    graph: EdgeList | None = None
    """Where the question lists the edges of a graph in symbols: what is known about it."""
    chunks: tuple[tuple[Ids, Ids], ...] = ()
    """The chunks that a document was cut into, each with the thought behind it, which may be empty."""

    def again(self, rng: "np.random.Generator") -> "Encoded":
        """The example as it is met in another epoch: the same, unless its form means nothing and may change."""
        if self.graph is None or not self.graph.form.fresh:
            return self
        graph, question, steps, answer = self.graph.again(self.question, self.steps, self.answer, rng)
        return self._replace(question=question, steps=steps, answer=answer, graph=graph)


def encode(examples: Sequence[Example], tokenizer: Any, template: Template | None = None) -> list[Encoded]:
    """Every example in ids, each piece tokenised alone; a BOS, where there is one, starts the question."""
    template = (template or Template()).filled(tokenizer)
    start = _bos(tokenizer, template)
    # The words between pieces stand in questions alone, and a tokenizer made of texts need not know them.
    asks = any(not example.text for example in examples)
    fixed = _pieces([template.cue, template.opening], tokenizer, template) if asks else [(), ()]
    encoded: list[Encoded] = []
    block: list[Example] = []
    waiting = 0
    for example in examples:
        block.append(example)
        waiting += 2 + len(example.steps)
        if waiting >= PIECES:
            encoded += _encode_block(block, tokenizer, template, start, *fixed)
            block, waiting = [], 0
    encoded += _encode_block(block, tokenizer, template, start, *fixed)
    return with_thought_ids(encoded, examples, tokenizer)


def _encode_block(
    block: list[Example], tokenizer: Any, template: Template, start: Ids, cue: Ids, opening: Ids
) -> list[Encoded]:
    asked = [example for example in block if not example.text]
    if template.joined and template.kind != "symbolic" and asked:
        rows = iter(_joined(asked, tokenizer, template, start))
        texts = iter(_pieces(_texts(block), tokenizer, template))
        return [
            _checked(_document(example, start, texts) if example.text else next(rows), example) for example in block
        ]
    pieces = template.questions(asked, tokenizer) if asked else []
    for example in block:
        if example.text:
            pieces += _texts([example])
        else:
            pieces += template.steps(example)
            pieces.append(template.answer.replace("{answer}", example.answer))
    ids = _pieces(pieces, tokenizer, template)
    vocabulary = tokenizer.get_vocab() if template.kind == "symbolic" else {}
    questions, rest = iter(ids[: len(asked)]), iter(ids[len(asked) :])
    encoded = []
    for example in block:
        if example.text:
            row = _document(example, start, rest)
        else:
            steps = tuple([next(rest) for _ in example.steps])
            graph = EdgeList.of(example.extra, vocabulary) if vocabulary else None
            row = Encoded(example.id, start + next(questions), steps, cue, next(rest), opening, graph)
        encoded.append(_checked(row, example))
    return encoded


def _texts(block: Sequence[Example]) -> list[str]:
    """The pieces of documents: chunks and thoughts where they have any, or the text as a whole."""
    found: list[str] = []
    for example in block:
        if example.text:
            pairs = chunk_pairs(example.extra, example.text, example.id or "example")
            found += [piece for pair in pairs for piece in pair] or [example.text]
    return found


def _document(example: Example, start: Ids, pieces: Iterator[Ids]) -> Encoded:
    pairs = chunk_pairs(example.extra, example.text, example.id or "example")
    if not pairs:
        return Encoded(example.id, start, (), (), next(pieces))
    chunks = tuple([(next(pieces), next(pieces)) for _ in pairs])
    return Encoded(example.id, start, (), (), tuple([i for chunk, _ in chunks for i in chunk]), chunks=chunks)


def _checked(row: Encoded, example: Example) -> Encoded:
    # An example with a question and no answer is a prompt: somebody is asking, and nothing is learned from it.
    if not (row.question or example.text) or (not row.answer and (example.answer or example.text)):
        field = "text" if example.text else "answer" if row.question else "question"
        raise fault(example.id or "example", field, f"the tokenizer makes no tokens of {getattr(example, field)!r}")
    return row


def _joined(asked: list[Example], tokenizer: Any, template: Template, start: Ids) -> list[Encoded]:
    """The questions of a block, each with its steps and its answer as one text."""
    if not tokenizer.is_fast:
        raise ModelError(
            "template.joined cuts ids where pieces meet, and this tokenizer does not say which text a token stands for; set "
            "template.joined: false"
        )
    pieces = [
        [
            question,
            template.opening,
            *template.steps(example),
            template.cue,
            template.answer.replace("{answer}", example.answer),
        ]
        for question, example in zip(template.questions(asked, tokenizer), asked)
    ]
    found = tokenizer(["".join(row) for row in pieces], add_special_tokens=False, return_offsets_mapping=True)
    encoded = []
    for example, row, ids, spans in zip(asked, pieces, found["input_ids"], found["offset_mapping"]):
        ends = list(accumulate(map(len, row)))
        parts: list[list[int]] = [[] for _ in row]
        for token, (begin, _) in zip(ids, spans):
            parts[min(bisect_right(ends, begin), len(row) - 1)].append(token)
        question, opening, *steps, cue, answer = map(tuple, parts)
        encoded.append(Encoded(example.id, start + question, tuple(steps), cue, answer, opening))
    return encoded


def _bos(tokenizer: Any, template: Template) -> Ids:
    bos = tokenizer.bos_token_id
    if template.bos is None and template.kind == "plain":
        first = tokenizer("")["input_ids"][:1]
        return tuple(first) if first and first[0] == bos else ()
    # A chat template writes its own BOS; a second one would be a token the model has never seen there.
    if not template.bos or template.kind == "chat":
        return ()
    bos = tokenizer.eos_token_id if bos is None else bos
    if bos is None:
        raise ModelError(
            "template.bos is true, but the tokenizer has neither a BOS nor an EOS token; set template.bos: false"
        )
    return (bos,)


def _pieces(pieces: list[str], tokenizer: Any, template: Template) -> list[Ids]:
    """Ids of every piece; many pieces occur often, and each different one is tokenised once."""
    different = list(dict.fromkeys(pieces))
    if template.kind == "symbolic":
        ids = _words(different, tokenizer.get_vocab())
    else:
        ids = _tokenise(different, tokenizer)
    known = dict(zip(different, ids))
    return [known[piece] for piece in pieces]


def _words(pieces: list[str], vocabulary: Mapping[str, int]) -> list[Ids]:
    try:
        return [tuple([vocabulary[word] for word in piece.split()]) for piece in pieces]
    except KeyError as error:
        raise DataError(
            f"the word {error.args[0]!r} is not in the tokenizer's vocabulary, and template kind symbolic takes one "
            "token a word: make the tokenizer from the task's words(), or set kind: plain"
        ) from error


def _tokenise(pieces: list[str], tokenizer: Any) -> list[Ids]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    # The Rust tokenizer pads and cuts if an earlier call told it to; the slower call resets that.
    if backend is None or backend.padding is not None or backend.truncation is not None:
        return [tuple(ids) for ids in tokenizer(pieces, add_special_tokens=False)["input_ids"]] if pieces else []
    try:
        return [tuple(encoding.ids) for encoding in backend.encode_batch_fast(pieces, add_special_tokens=False)]
    except Exception:  # the bare exception of the Rust half says nothing; the slower way names the character
        from tacit.models.tokenizers import encode_many

        return [tuple(ids) for ids in encode_many(tokenizer, pieces)]
