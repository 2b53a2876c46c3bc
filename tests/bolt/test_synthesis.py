"""Thoughts from a stronger model: prompts, answers that are paid for once, a server in a bad mood, workers that die."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tacit.bolt import asking, endpoint
from tacit.bolt.asking import STYLES, Answer, Answered, Asker, Backend, Request, judged, request
from tacit.bolt.chunks import Chunking
from tacit.bolt.endpoint import Endpoint
from tacit.bolt.making import synthesis_part
from tacit.bolt.secrets import masked, secret
from tacit.bolt.synthesis import Synthesis
from tacit.bolt.synthesize import check_kind, merge, plan, work
from tacit.errors import TacitError
from tacit.lock import alone
from tacit.tasks.formats import Reading, read_file
from tests.bolt.moody_server import Server

ROOT = Path(__file__).parents[2]
CHUNKING = Chunking(mean=2, most=3)


@pytest.fixture
def corpus(tmp_path):
    texts = [" ".join(f"Sentence {n} of text {d}." for n in range(7)) for d in range(12)]
    file = tmp_path / "warm.jsonl"
    file.write_text("".join(json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    return file


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server that is asked again soon; what it was asked is in its log."""
    monkeypatch.setattr(endpoint, "FIRST", 0.01)
    running = []

    def start(key=None):
        running.append(Server(tmp_path / "asked.log", key))
        return running[-1]

    yield start
    for one in running:
        one.stop()


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def synthesized(kind, corpus, folder, settings):
    plan(kind, corpus, folder, settings, CHUNKING)
    work(kind, folder, settings)
    return merge(kind, folder, settings, say=lambda _: None)


DUMMY = Synthesis(backend="dummy", shard=3)


# -- prompts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [style for styles in STYLES.values() for style in styles])
def test_every_prompt_shows_its_document_once_and_as_it_is(style):
    parts = {"text": "a {prefix} {0} {{}}"} if "wrap" in style else {"prefix": "before {suffix}", "suffix": "after {x}"}
    told = request(style, 0, **parts)
    assert all(told.user.count(part) == 1 for part in parts.values())
    assert bool(told.system) is (style == "latent_thoughts")


def test_a_kind_that_there_is_not_is_refused():
    with pytest.raises(TacitError, match="did you mean wrap_cot"):
        check_kind("wrap_cots")


# -- documents ----------------------------------------------------------------------------------------------------------


def test_every_chunk_gets_a_thought_and_the_task_rows_reads_it(corpus, tmp_path):
    file = synthesized("latent_thoughts", corpus, tmp_path / "out", DUMMY)
    found, given = rows(file), rows(corpus)
    assert [row["id"] for row in found] == [row["id"] for row in given]
    for row, one in zip(found, given):
        assert "".join(chunk["text"] for chunk in row["chunks"]) == one["text"] == row["text"]
        assert all(chunk["thought"] for chunk in row["chunks"]) and len(row["chunks"]) > 1
    [first, *_] = read_file(file, Reading())
    assert first.extra["chunks"] == found[0]["chunks"]


def test_two_that_merge_at_once_are_refused(corpus, tmp_path):
    file = synthesized("wrap_cot", corpus, tmp_path, DUMMY)
    written = file.read_text()
    with alone(tmp_path / "wrap_cot"), pytest.raises(TacitError, match="wrap_cot is being written by another run"):
        synthesized("wrap_cot", corpus, tmp_path, DUMMY)
    assert synthesized("wrap_cot", corpus, tmp_path, DUMMY).read_text() == written and not list(tmp_path.glob("*.part"))


def test_a_chunk_is_shown_with_the_one_before_it_alone(corpus, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(asking, "request", None)  # the one that is used is that of the module synthesize
    from tacit.bolt import synthesize

    monkeypatch.setattr(synthesize, "request", lambda *a, **parts: shown.append(parts) or request(*a, **parts))
    for window, expected in ((1, "previous"), (None, "all"), (0, "none")):
        shown.clear()
        folder = tmp_path / expected
        file = synthesized("latent_thoughts", corpus, folder, DUMMY.model_copy(update={"window": window}))
        chunks = [chunk["text"] for chunk in rows(file)[0]["chunks"]]
        before = {"previous": ["N/A", *chunks], "none": ["N/A"] * 9}.get(expected)
        before = before or ["N/A", *("".join(chunks[:n]) for n in range(1, len(chunks)))]
        assert [part["prefix"] for part in shown[: len(chunks)]] == before[: len(chunks)]
        assert [part["suffix"] for part in shown[: len(chunks)]] == chunks


def test_documents_are_written_anew_as_often_as_asked(corpus, tmp_path):
    settings = DUMMY.model_copy(update={"repeats": 5})
    found = rows(synthesized("wrap_baseline", corpus, tmp_path / "out", settings))
    assert len(found) == 60 == len({row["id"] for row in found})
    assert {row["style"] for row in found} == {*STYLES["wrap_baseline"]}
    assert len({row["text"] for row in found if row["of"] == "d3"}) > 1
    again = rows(synthesized("wrap_baseline", corpus, tmp_path / "again", settings))
    assert again == found
    other = rows(
        synthesized("wrap_baseline", corpus, tmp_path / "other", settings.model_copy(update={"seed": 1, "shard": 50}))
    )
    assert [row["style"] for row in other] != [row["style"] for row in found]
    with pytest.raises(TacitError, match="a chunk has one thought"):
        plan("latent_thoughts", corpus, tmp_path / "no", settings, CHUNKING)


# -- answers ------------------------------------------------------------------------------------------------------------


class Scripted(Backend):
    """Answers a request by its seed, and counts."""

    def __init__(self, settings, texts):
        super().__init__(settings)
        self.texts, self.asked = texts, []

    def answer(self, requests, on_answer):
        for number, one in enumerate(requests):
            self.asked.append(one)
            on_answer(number, self.texts(one))


def test_what_cannot_be_used_is_asked_again_and_paid_for_once(tmp_path):
    settings = Synthesis(attempts=3, seed=0)
    backend = Scripted(settings, lambda one: Answer("fine" if one.seed == 1 else "", tokens_out=2))
    asker = Asker(backend, Answered(tmp_path, settings))
    good, bad = Request("", "a", 0), Request("", "b", 7)
    attempts = asker.ask([good, bad, good])
    assert [[answer.fault for answer in tried] for tried in attempts] == [["empty", ""], ["empty"] * 3, ["empty", ""]]
    assert len(backend.asked) == 5 and asker.spent.tokens_out == 10
    again = Scripted(settings, lambda one: Answer("never asked"))
    assert Asker(again, Answered(tmp_path, settings)).ask([good, bad, good]) == attempts
    assert not again.asked
    other = settings.model_copy(update={"model": "another"})
    assert Asker(again, Answered(tmp_path, other)).ask([good])[0][-1].text == "never asked"


def test_a_damaged_answer_is_asked_for_again(tmp_path):
    settings = Synthesis()
    store, one = Answered(tmp_path, settings), Request("", "a", 0)
    store.keep(one, Answer("kept"))
    [file] = tmp_path.rglob("*.json")
    file.write_text(file.read_text()[:-4])
    backend = Scripted(settings, lambda one: Answer("asked again"))
    assert Asker(backend, store).ask([one])[0][-1].text == "asked again"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(" a "), ""),
        (Answer(" \n"), "empty"),
        (Answer("x <|PRIOR_PREFIX|>"), "with a mark inside"),
        (Answer("half", "cut off"), "cut off"),
    ],
)
def test_what_is_wrong_with_an_answer(answer, fault):
    assert judged(answer).fault == fault and bool(judged(answer).text) is not bool(fault)


def test_a_budget_ends_the_spending_and_keeps_what_was_paid(tmp_path):
    settings = Synthesis(price_out=1e6, budget=3)
    store = Answered(tmp_path, settings)
    backend = Scripted(settings, lambda one: Answer("text", tokens_out=1))
    with pytest.raises(TacitError, match="the budget of 3 is spent"):
        Asker(backend, store).ask([Request("", str(n), 0) for n in range(9)])
    assert len(backend.asked) == 4 == len(list(tmp_path.rglob("*.json")))
    with pytest.raises(ValueError, match="a budget needs prices"):
        Synthesis(budget=3)


# -- a server -----------------------------------------------------------------------------------------------------------


def at(url, **more):
    return Synthesis(url=url, key=None, model="m", shard=3, parallel=4, max_tokens=50, **more)


def test_a_server_in_a_bad_mood(corpus, server, tmp_path):
    with corpus.open("a") as more:
        more.write(json.dumps({"id": "silent", "text": "NEVER one. NEVER two."}) + "\n")
        more.write(json.dumps({"id": "refused", "text": "REFUSE this."}) + "\n")
    settings = at(server().url, price_in=2.0, price_out=10.0)
    found = rows(synthesized("latent_thoughts", corpus, tmp_path / "out", settings))
    told = json.loads((tmp_path / "out/latent_thoughts.json").read_text())
    left = rows(tmp_path / "out/latent_thoughts-unanswered.jsonl")
    chunks = [chunk for row in found for chunk in row["chunks"]]
    assert len(found) == 14 and told["answered"] + told["unanswered"] == len(chunks)
    assert all(chunk["thought"].startswith("Thought ") for row in found[:12] for chunk in row["chunks"])
    assert not any(chunk["thought"] for row in found[12:] for chunk in row["chunks"])
    assert {one["id"]: one["fault"] for one in left} == {"silent": "empty", "refused": "refused"}
    assert [one["reason"] for one in left if one["fault"] == "refused"] == [
        'status 400: {"error": "against the rules"}'
    ]
    assert told["faults"] == {"empty": told["unanswered"] - 1, "refused": 1}
    assert told["price"] == pytest.approx((told["tokens_in"] * 2 + told["tokens_out"] * 10) / 1e6) and told["price"]
    log = rows(tmp_path / "asked.log")
    assert len(log) > told["requests"] > len(chunks)  # busy answers cost nothing, unusable ones do
    before = len(log)
    for shard in (tmp_path / "out/latent_thoughts").glob("shard-*"):
        shard.unlink()
    assert rows(synthesized("latent_thoughts", corpus, tmp_path / "out", settings)) == found
    # Nothing is asked again but what was refused, or was lost on the way.
    assert len(rows(tmp_path / "asked.log")) == before


def test_a_key_is_sent_and_never_shown(corpus, server, tmp_path, monkeypatch):
    url = server("sesame-123").url
    settings = at(url).model_copy(update={"key": "SOME_KEY"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(TacitError, match="set the variable SOME_KEY, or write SOME_KEY="):
        synthesized("wrap_cot", corpus, tmp_path / "a", settings)
    monkeypatch.setenv("SOME_KEY", "wrong-key-456")
    with pytest.raises(TacitError, match=r"status 401.*the key is wrong") as caught:
        synthesized("wrap_cot", corpus, tmp_path / "b", settings)
    assert "wrong-key-456" not in str(caught.value) and "***" in str(caught.value)
    monkeypatch.delenv("SOME_KEY")
    (tmp_path / ".env").write_text("# keys\nOTHER=1\nexport SOME_KEY='sesame-123'\n")
    assert secret("SOME_KEY") == "sesame-123"
    assert len(rows(synthesized("wrap_cot", corpus, tmp_path / "c", settings))) == 12
    kept = "".join(f.read_text() for f in tmp_path.rglob("*.json*"))
    assert "sesame-123" not in kept and "SOME_KEY" in kept


def test_blanks_around_a_key_are_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME_KEY", " sesame-123\r\n")
    assert secret("SOME_KEY") == "sesame-123"
    monkeypatch.setenv("SOME_KEY", " \n")
    (tmp_path / ".env").write_text("SOME_KEY=' sesame-456 '\n", encoding="utf-8-sig")
    assert secret("SOME_KEY") == "sesame-456"


@pytest.mark.parametrize("key", ["sesame\n123", "sesame 123", "sésame-123", "sesame–123", "sesame\x7f123"])
def test_a_key_that_cannot_be_sent_is_named_and_not_shown(key, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", key)
    settings = at("http://127.0.0.1:9/v1", patience=0).model_copy(update={"key": "SOME_KEY"})
    with pytest.raises(TacitError, match="the key in SOME_KEY cannot be sent") as caught:
        synthesized("wrap_cot", corpus, tmp_path / "out", settings)
    assert "123" not in str(caught.value)


@pytest.mark.parametrize(
    "said", ['Bearer ab"c\\d/e', json.dumps('ab"c\\d/e'), r'{"k": "ab\"c\\d\/e"}', repr(b'ab"c\\d/e')]
)
def test_a_key_is_not_shown_however_a_server_writes_it(said):
    shown = masked(said, 'ab"c\\d/e')
    assert "***" in shown and "ab" not in shown and "/e" not in shown


def test_a_server_that_is_not_there_is_named(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST", 0.001)
    with pytest.raises(TacitError, match=r"127\.0\.0\.1:9/v1 did not answer in 3 attempts"):
        synthesized("wrap_cot", corpus, tmp_path / "out", at("http://127.0.0.1:9/v1", patience=2))


@pytest.mark.parametrize(("noticed", "times"), [(0.0, 1), (9.0, 0)])
def test_who_waits_for_long_is_told_now_and_then(tmp_path, monkeypatch, capsys, noticed, times):
    monkeypatch.setattr(endpoint, "FIRST", 0.001)
    monkeypatch.setattr(endpoint, "NOTICED", noticed)
    settings = at("http://127.0.0.1:9/v1", patience=3)
    with pytest.raises(TacitError, match="did not answer"):
        Asker(Endpoint(settings), Answered(tmp_path, settings)).ask([Request("", "words", 0)])
    assert capsys.readouterr().err.count("127.0.0.1:9/v1: ConnectError") == times


def test_a_stop_keeps_what_is_under_way_and_asks_for_nothing_more(server, tmp_path):
    """One request is forbidden while two are being answered and one waits for a minute: two answers are kept, nobody waits."""
    settings = at(server().url)
    words = ["FORBIDDEN", "SLOWLY one", "SLOWLY two", "LATER", "well one", "well two"]
    requests = [Request("", word, 0) for word in words]
    store = Answered(tmp_path / "answers", settings)
    start = time.perf_counter()
    with pytest.raises(TacitError, match="not for you"):
        Asker(Endpoint(settings), store).ask(requests)
    assert time.perf_counter() - start < 10
    assert [store.find(one) is not None for one in requests] == [False, True, True, False, False, False]
    assert sorted(line["words"] for line in rows(tmp_path / "asked.log")) == sorted(words[:4])


def test_a_budget_loses_no_answer_that_is_under_way(server, tmp_path):
    settings = at(server().url, price_out=1e6, budget=1)
    store, requests = Answered(tmp_path / "answers", settings), [Request("", f"SLOWLY {n}", 0) for n in range(9)]
    with pytest.raises(TacitError, match="the budget of 1 is spent"):
        Asker(Endpoint(settings), store).ask(requests)
    assert 2 <= len(rows(tmp_path / "asked.log")) == sum(store.find(one) is not None for one in requests) <= 6


def test_a_server_that_refuses_everything_is_no_judge_of_texts(corpus, server, tmp_path):
    """It is stopped with its words, and asked again when it is mended; a text that it refuses among others is not."""
    moody = server()
    moody.sulking, settings = True, at(moody.url).model_copy(update={"shard": 20})
    with pytest.raises(TacitError, match=r"refused 16 requests one after the other.*422.*max_tokens is too large"):
        synthesized("latent_thoughts", corpus, tmp_path / "out", settings)
    assert 16 <= len(rows(tmp_path / "asked.log")) <= 16 + settings.parallel
    moody.sulking = False
    assert all(
        chunk["thought"]
        for row in rows(synthesized("latent_thoughts", corpus, tmp_path / "out", settings))
        for chunk in row["chunks"]
    )


def test_nothing_is_learned_from_no_answers(server, tmp_path):
    """Too few requests to be sure of the server while it is asked."""
    (tmp_path / "few.jsonl").write_text(json.dumps({"id": "a", "text": "REFUSE this. And that."}) + "\n")
    with pytest.raises(
        TacitError,
        match=r"no answer to any of 1 requests.*against the rules.*remove .*/out/wrap_cot and give the same command$",
    ):
        synthesized("wrap_cot", tmp_path / "few.jsonl", tmp_path / "out", at(server().url))
    assert not (tmp_path / "out/wrap_cot.jsonl").exists() and not (tmp_path / "out/wrap_cot.json").exists()
    assert not list((tmp_path / "out").glob("answers/*/*"))


@pytest.mark.parametrize(("text", "reason"), [("", "the first: empty"), ("NOT JSON", "the first: malformed: NOT JSON")])
def test_what_it_says_after_no_answer_at_all_helps(corpus, tmp_path, monkeypatch, text, reason):
    """Unusable answers are kept, so the same seeds would find them again, whatever was mended."""
    fault = Answer(text, "malformed" if text else "", reason=text)
    answers = [fault]
    monkeypatch.setitem(asking.BACKENDS, "dummy", type("Ill", (Backend,), {"answer": answer_all(answers)}))
    out = tmp_path / "out"
    with pytest.raises(TacitError, match=f"{reason}.*remove {out}/wrap_cot and .* bolt.synthesis.seed=45;"):
        synthesized("wrap_cot", corpus, out, DUMMY)
    answers[:] = [Answer("A thought.")]
    shutil.rmtree(out / "wrap_cot")
    with pytest.raises(TacitError, match="no answer to any"):
        synthesized("wrap_cot", corpus, out, DUMMY)
    shutil.rmtree(out / "wrap_cot")
    assert len(rows(synthesized("wrap_cot", corpus, out, DUMMY.model_copy(update={"seed": 45})))) == 12


def answer_all(answers):
    def answer(self, requests, on_answer):
        for number in range(len(requests)):
            on_answer(number, answers[0])

    return answer


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("127.0.0.1:8000/v1", "must begin with http:// or https://"),
        ("http://", "is no address"),
        ("http://here/v1/chat/completions", "set what stands before"),
    ],
)
def test_an_address_that_cannot_be_asked(url, told):
    with pytest.raises(ValueError, match=told):
        at(url)


def test_documents_that_are_not_prepared_yet(tmp_path):
    words = [
        "bolt/smoke",
        "bolt.corpus.source=a.jsonl",
        f"bolt.corpus.folder={tmp_path}",
        "bolt.synthesis.backend=dummy",
    ]
    with pytest.raises(
        TacitError, match=r"no file .*warm\.jsonl .*; make it with tacit bolt prepare bolt/smoke bolt.corpus"
    ):
        synthesis_part("plan", "latent_thoughts", words)


def test_a_server_that_wants_money_is_not_asked_again(server, tmp_path):
    settings = at(server().url)
    with pytest.raises(TacitError, match=r"status 402.*top up.*nothing left to pay with"):
        Asker(Endpoint(settings), Answered(tmp_path, settings)).ask([Request("", "BROKE", 0)])
    assert len(rows(tmp_path / "asked.log")) == 1


def test_requests_keep_their_distance(corpus, server, tmp_path):
    settings = at(server().url, per_minute=60 * 40)
    start = time.perf_counter()
    synthesized("wrap_cot", corpus, tmp_path / "out", settings)
    asked = len(rows(tmp_path / "asked.log"))
    assert time.perf_counter() - start >= (asked - 1) / 40
    assert asked >= 12


WORK = """
import sys
from pathlib import Path
from tacit.bolt.synthesis import Synthesis
from tacit.bolt.synthesize import work
from tacit.bolt import endpoint, shards
endpoint.FIRST = 0.01
work("latent_thoughts", Path(sys.argv[1]), Synthesis(**eval(sys.argv[2])))
"""


def test_a_killed_worker_costs_nothing_twice(corpus, server, tmp_path):
    """But what was under way."""
    settings = at(server().url, per_minute=60 * 100)
    folder, log = tmp_path / "out", tmp_path / "asked.log"
    shards = plan("latent_thoughts", corpus, folder, settings, CHUNKING)
    process = subprocess.Popen([sys.executable, "-c", WORK, str(folder), repr(settings.model_dump())], cwd=ROOT)
    while not log.exists() or len(log.read_text().splitlines()) < 20:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = len(rows(log))
    for claim in shards.folder.glob("*.claim"):  # as old as it will be in a minute
        os.utime(claim, (0, 0))
    work("latent_thoughts", folder, settings)
    paid = [(line["words"], line["seed"]) for line in rows(log) if line["status"] == 200]
    found = rows(merge("latent_thoughts", folder, settings, say=lambda _: None))
    assert len(rows(log)) > before >= 20
    assert len(paid) - len({*paid}) <= settings.parallel
    assert found == rows(synthesized("latent_thoughts", corpus, tmp_path / "whole", settings))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_asked_when_a_signal_comes_is_answered_and_kept(server, tmp_path, number):
    one = server()
    texts = [f"SLOWLY {n}." for n in range(60)]
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "warm.jsonl").write_text("".join(json.dumps({"id": text, "text": text}) + "\n" for text in texts))
    settings = {"backend": "endpoint", "url": one.url, "key": "null", "model": "m", "parallel": 6, "shard": 30}
    words = ["bolt.corpus.source=none", f"bolt.corpus.folder={folder}"]
    words += [*(f"bolt.synthesis.{name}={value}" for name, value in settings.items())]
    command = [sys.executable, "-m", "tacit", "bolt", "synthesize", "latent_thoughts", "bolt/smoke", *words]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while len(one.asked) < 9 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    told = process.communicate(timeout=60)[1]
    asked, answers = len(one.asked), list((folder / "answers").glob("*/*.json"))
    assert (process.returncode, len(answers)) == (130, asked) and asked < 60
    assert "stopped; what was asked is answered and kept" in told and "Traceback" not in told
    assert not list(folder.rglob("*.claim"))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert max(one.asked.values()) == 1 and len(one.asked) == len(texts)
