"""Rows, templates, and pieces in ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from tacit.errors import DataError, ModelError
from tacit.example import Example, Template, encode, from_row, to_row
from tacit.models.tokenizers import character_tokenizer

EXAMPLE = Example("a", "How many?", ("<<1+1=2>>", "<<2*3=6>>"), "6")


def bytes_tokenizer(bos: bool = False) -> PreTrainedTokenizerFast:
    """Every byte is a token, and `ab` is one too, so that joined text would be tokenised differently."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*letters, "ab", "<s>", "</s>"])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "b")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    if bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")


def words_tokenizer(words) -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate([*words, "<eos>"])}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary)), eos_token="<eos>")


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda t: not t.isspace())
extras = st.none() | st.dictionaries(st.sampled_from(["root", "edges"]), st.integers(), min_size=1)
questions = st.builds(Example, st.just("") | text, text, st.lists(text).map(tuple), text, st.just(""), extras)
documents = st.builds(Example, st.just("") | text, text=text, extra=extras)


@given(questions | documents)
def test_rows_come_back(example):
    assert from_row(to_row(example)) == example


def test_twin_a_row_without_its_steps_does_not_come_back():
    assert from_row(to_row(EXAMPLE) | {"steps": []}) != EXAMPLE


def test_ids_are_given_to_rows_without_one():
    assert from_row({"text": "hello"}, id="train-1").id == "train-1"
    assert from_row({"text": "hello", "id": "own"}, id="train-1").id == "own"


MALFORMED = [
    ([], "row: expected a JSON object, got list"),
    ("text", "row: expected a JSON object, got str"),
    ({}, "question: missing; the row has no keys"),
    ({"qestion": "x", "steps": [], "answer": "1"}, r"question: missing; .*did you mean qestion\?"),
    ({"question": "x", "answer": "1"}, r'steps: missing; .*write "steps": \[\]'),
    ({"question": "x", "steps": []}, "answer: missing"),
    ({"question": "x", "steps": [], "answer": 18}, 'answer: expected a string, got int; write "18"'),
    ({"question": "x", "steps": [], "answer": None}, "answer: expected a string, got NoneType"),
    ({"question": " \n", "steps": [], "answer": "1"}, "question: empty"),
    ({"question": "x", "steps": "a b", "answer": "1"}, "steps: expected a list of strings, got str"),
    ({"question": "x", "steps": ["a", ""], "answer": "1"}, r"steps\[1\]: empty"),
    ({"question": "x", "steps": ["a", 2], "answer": "1"}, r"steps\[1\]: expected a string, got int"),
    ({"question": "x", "steps": [], "answer": "1", "id": 7}, "id: expected a string"),
    ({"question": "x", "text": "y"}, "text: a row is either a question or a text"),
    ({"text": ""}, "text: empty"),
    ({"text": "\ud800"}, "text: half of a surrogate pair at character 0"),
]


@pytest.mark.parametrize(("row", "reason"), MALFORMED)
def test_malformed_rows_are_refused_with_place_field_and_reason(row, reason):
    with pytest.raises(DataError, match=f"^data.jsonl:3: {reason}"):
        from_row(row, "data.jsonl:3")


def test_a_question_without_an_answer_is_a_prompt():
    [row] = encode([Example(question="ab")], bytes_tokenizer(), Template(question="{question}"))
    assert (len(row.question), row.answer) == (1, ())
    symbolic = Template(kind="symbolic", question="{question}", cue="")
    with pytest.raises(DataError, match="a: answer: the tokenizer makes no tokens"):
        encode([Example("a", "ab", answer=" ")], words_tokenizer(["ab"]), symbolic)


def test_pieces_are_tokenised_alone():
    tokenizer = bytes_tokenizer()
    template = Template(question="{question}", step="{step}", cue="b", answer="{answer}")
    (row,) = encode([Example("x", "xa", ("ba", "b"), "b")], tokenizer, template)
    assert tokenizer.convert_ids_to_tokens(row.question) == ["x", "a"]
    assert [tokenizer.convert_ids_to_tokens(step) for step in row.steps] == [["b", "a"], ["b"]]
    assert tokenizer.convert_ids_to_tokens(row.cue + row.answer) == ["b", "b"]
    # The twin: joined text merges over the border.
    assert tokenizer.convert_ids_to_tokens(tokenizer("xa" + "ba")["input_ids"]) == ["x", "ab", "a"]


def test_the_default_template_is_coconuts():
    tokenizer = bytes_tokenizer()
    (row,) = encode([EXAMPLE], tokenizer)
    pieces = (row.question, *row.steps, row.cue, row.answer)
    assert [tokenizer.decode(piece) for piece in pieces] == ["How many?\n", "<<1+1=2>>\n", "<<2*3=6>>\n", "### ", "6"]


def test_bos_goes_to_the_question_once():
    tokenizer = bytes_tokenizer(bos=True)
    row, document = encode([EXAMPLE, Example("d", text="hi")], tokenizer)
    for ids in (*row.steps, row.cue, row.answer):
        assert tokenizer.bos_token_id not in ids
    assert row.question[0] == tokenizer.bos_token_id and row.question.count(tokenizer.bos_token_id) == 1
    assert document.question == (tokenizer.bos_token_id,) and tokenizer.decode(document.answer) == "hi"


@pytest.mark.parametrize(("adds", "asked", "there"), [(True, False, 0), (False, True, 1), (False, None, 0)])
def test_bos_can_be_asked_for(adds, asked, there):
    tokenizer = bytes_tokenizer(bos=adds)
    (row,) = encode([EXAMPLE], tokenizer, Template(bos=asked))
    assert row.question.count(tokenizer.bos_token_id) == there


CHAT = (
    "<s>{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[bot]{% endif %}"
)


def test_chat_questions_go_through_the_chat_template():
    tokenizer = bytes_tokenizer(bos=True)
    tokenizer.chat_template = CHAT
    (row,) = encode([EXAMPLE], tokenizer, Template(kind="chat", system="Be brief."))
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}]
    whole = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert list(row.question) == whole
    assert row.question.count(tokenizer.bos_token_id) == 1


def test_chat_without_a_chat_template_is_refused_with_the_remedy():
    with pytest.raises(ModelError, match="kind: plain"):
        encode([EXAMPLE], bytes_tokenizer(), Template(kind="chat"))


SYMBOLIC = Template(kind="symbolic", question="{question}", step="{step}", cue="[A]", answer="{answer}", bos=True)


def test_symbolic_pieces_are_words():
    tokenizer = words_tokenizer(["1", "2", "|", "[A]"])
    (row,) = encode([Example("x", "1 2 | 2 1", ("2", "1"), "2")], tokenizer, SYMBOLIC)
    assert row.question == (4, 0, 1, 2, 1, 0)  # without a BOS the EOS starts
    assert (row.steps, row.cue, row.answer) == (((1,), (0,)), (3,), (1,))


def test_an_unknown_word_is_named():
    with pytest.raises(DataError, match=r"'9' is not in the tokenizer's vocabulary.*words\(\)"):
        encode([Example("x", "9", (), "1")], words_tokenizer(["1", "[A]"]), SYMBOLIC)


def test_a_template_must_hold_its_piece():
    with pytest.raises(ValueError, match=r"must contain \{step\} exactly once"):
        Template(step="step\n")


def test_braces_in_a_question_are_text():
    tokenizer = bytes_tokenizer()
    (row,) = encode([Example("x", "{answer} {", (), "1")], tokenizer)
    assert tokenizer.decode(row.question) == "{answer} {\n"


rows = st.lists(st.builds(Example, text, text, st.lists(text, max_size=3).map(tuple), text) | documents, max_size=5)


@given(rows)
def test_encoding_many_is_encoding_each(examples):
    tokenizer = bytes_tokenizer()
    assert encode(examples, tokenizer) == [encode([example], tokenizer)[0] for example in examples]


def test_blocks_do_not_show(monkeypatch):
    tokenizer = bytes_tokenizer()
    examples = [Example(str(index), f"q{index}", ("s",) * (index % 3), "a") for index in range(20)]
    whole = encode(examples, tokenizer)
    monkeypatch.setattr("tacit.example.PIECES", 7)
    assert encode(examples, tokenizer) == whole and len(whole) == 20


def test_a_tokenizer_that_was_told_to_pad_and_cut_does_neither_here():
    tokenizer = bytes_tokenizer()
    expected = encode([EXAMPLE], tokenizer)
    tokenizer.pad_token = "</s>"
    tokenizer(["a", "abc"], padding=True, truncation=True, max_length=2)
    assert tokenizer.backend_tokenizer.padding is not None
    assert encode([EXAMPLE], tokenizer) == expected


def test_a_piece_without_tokens_is_refused():
    tokenizer = words_tokenizer(["x"])
    template = Template(kind="symbolic", question="{question}", step="{step}", cue="", answer="{answer}")
    with pytest.raises(DataError, match="e1: answer: the tokenizer makes no tokens"):
        encode([Example("e1", "x", (), " ")], tokenizer, template)


def test_a_tokenizer_of_few_characters_is_asked_for_its_bos_without_any_of_them():
    """Twin: with a BOS, the question starts with it."""
    for bos in (False, True):
        tokenizer = character_tokenizer(["0123\n#  "], bos=bos)
        row = encode([Example("x", "1", (), "2")], tokenizer, Template(bos=bos or None))[0]
        assert (row.question[0] == tokenizer.bos_token_id) is bos
