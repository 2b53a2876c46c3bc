"""Adapters added to their base: the same model, readable by other tools, on the hub with its tokenizer; and never beside
another base than the one they were trained with."""

import json
import os
import subprocess
import sys
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import tacit
from tacit.cli import main
from tacit.engine.sampling import Sampling
from tacit.errors import ModelError, TacitError
from tacit.models.making import make_thinker
from tacit.publish import merge, needs_tacit
from tacit.recipe.schema import Lora, Model
from tacit.thinking import Thinking
from tests.thinkers import batch_of, nudged, prompts_of, thinker_of

ROOT = Path(__file__).parents[2]
THOUGHTS = {"feedback": "mlp", "gain": 0.5, "confine": True, "stop_temperature": 2.0, "max_latents": 5}
FAMILIES = [("gpt2", True), ("gpt2", False), ("llama", True), ("llama", False)]


def saved(folder, family="llama", tied=False, **more):
    """A thinker with adapters that are not zero, new rows and a learned way to think, as a run leaves it."""
    thinker = nudged(thinker_of(family, tied=tied, lora=True, **{**THOUGHTS, **more})).eval()
    thinker.save_pretrained(folder, {"template": {"cue": "= "}, "eval": {"max_tokens": 7}})
    return thinker


def completions(thinker) -> list[tuple]:
    return [(done.ids, done.latents) for done in thinker.complete(prompts_of(thinker), Sampling(max_tokens=6))]


def check_same(merged, thinker) -> None:
    assert torch.allclose(merged.loss(batch_of(merged)), thinker.loss(batch_of(thinker)), rtol=1e-5)
    assert completions(merged) == completions(thinker)
    for table in ("get_input_embeddings", "get_output_embeddings"):
        assert torch.equal(getattr(merged.model, table)().weight, getattr(thinker.model, table)().weight)


@pytest.mark.parametrize(("family", "tied"), FAMILIES)
def test_the_merged_model_is_the_same_model(family, tied, tmp_path):
    thinker = saved(tmp_path / "run", family, tied)
    assert merge(tmp_path / "run", tmp_path / "whole") == []
    merged = tacit.load(tmp_path / "whole").eval()
    check_same(merged, thinker)
    assert merged.thinking == thinker.thinking and merged.vocab == thinker.vocab
    assert merged.facts["template"] == {"cue": "= "} and merged.facts["eval"] == {"max_tokens": 7}
    assert not hasattr(merged.model, "peft_config")


def test_adapters_that_were_lost_would_be_noticed(tmp_path):
    thinker = saved(tmp_path / "run")
    merge(tmp_path / "run", tmp_path / "whole")
    merged = tacit.load(tmp_path / "whole").eval()
    with torch.no_grad():
        merged.model.model.layers[0].mlp.up_proj.weight *= 0.9
    with pytest.raises(AssertionError):
        check_same(merged, thinker)


@pytest.mark.parametrize(("family", "tied"), FAMILIES)
def test_other_tools_read_the_language_model(family, tied, tmp_path):
    """What transformers computes from text is what the thinker computes; here silent steps have nothing learned."""
    thinker = saved(tmp_path / "run", family, tied, feedback="identity", gain=1.0)
    merge(tmp_path / "run", tmp_path / "whole")
    assert needs_tacit(tmp_path / "whole") == ""
    model, words = (kind.from_pretrained(tmp_path / "whole") for kind in (AutoModelForCausalLM, AutoTokenizer))
    ids = words("3+4=<think>hello</think>7", return_tensors="pt")["input_ids"]
    assert {thinker.vocab.open, thinker.vocab.close} <= set(ids.flatten().tolist())
    with torch.no_grad():
        ours = thinker.model(ids).logits
        assert torch.allclose(model(ids).logits, ours, rtol=1e-4, atol=1e-5)
    assert not any(name.startswith("thought") for name, _ in model.named_parameters())


def test_learned_thoughts_are_told_of(tmp_path, capsys):
    saved(tmp_path / "run")
    main_of("merge", str(tmp_path / "run"), str(tmp_path / "whole"))
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'whole'}\n" and "its silent steps pass through learned parts" in err


def test_bf16_bases_are_merged_in_fp32(tmp_path):
    """Small changes beside large weights survive: in bf16 they would be rounded away."""
    thinker = thinker_of("llama", lora=True, dtype="bf16")
    layer = thinker.model.get_base_model().model.layers[0].mlp.up_proj
    with torch.no_grad():
        layer.base_layer.weight.fill_(1.0)
        layer.lora_B["default"].weight.fill_(1e-4)
        layer.lora_A["default"].weight.fill_(1.0)
    thinker.save_pretrained(tmp_path / "run")
    merge(tmp_path / "run", tmp_path / "whole")
    merged = tacit.load(tmp_path / "whole").model.model.layers[0].mlp.up_proj.weight
    assert merged.dtype == torch.float32 and (merged > 1.0).all()
    assert (merged.bfloat16() == 1.0).all(), "the change is too small for 16 bits, so this test tests something"


# --- another base ----------------------------------------------------------------------------------------------------


@pytest.fixture
def beside(tmp_path):
    """Adapters beside a base in a folder of its own."""
    nudged(thinker_of("gpt2")).save_pretrained(tmp_path / "base")
    section = Model(path=str(tmp_path / "base"), lora=Lora(r=4, dropout=0.0))
    nudged(make_thinker(section, Thinking())).save_pretrained(tmp_path / "run")
    return tmp_path


def test_another_base_of_the_same_shape_is_refused(beside):
    nudged(thinker_of("gpt2", seed=1)).save_pretrained(beside / "base")
    with pytest.raises(ModelError, match=r"trained beside other weights than those that .*/base holds now.*Put the"):
        merge(beside / "run", beside / "whole")
    assert not (beside / "whole").exists()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_base_in_any_type_is_not_refused(beside, dtype):
    tacit.thinker.Thinker.from_pretrained(beside / "run", dtype=dtype)


def test_the_adapters_themselves_are_not_overwritten(beside):
    with pytest.raises(ModelError, match="holds the adapters themselves"):
        merge(beside / "run", beside / "run")


def test_whole_weights_are_copied_and_said_to_be(beside):
    assert "has no adapters" in merge(beside / "base", beside / "copy")[0]
    assert (beside / "copy" / "model.safetensors").exists()


# --- the hub ---------------------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as an upload of small files needs. It remembers what it is sent."""

    @property
    def repository(self):
        return f"http://127.0.0.1:{self.server.server_port}/me/thinker"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        heard = self.server.heard
        heard.append((self.path, self.headers.get("Authorization")))
        if self.path == "/api/repos/create":
            self.server.created = json.loads(body)
            self.answer({"url": self.repository})
        elif "/preupload/" in self.path:
            files = [file["path"] for file in json.loads(body)["files"]]
            told = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in files]
            self.answer({"files": told})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                one = json.loads(line)
                if one["key"] == "file":
                    self.server.files[one["value"]["path"]] = b64decode(one["value"]["content"])
            self.answer({"success": True, "commitOid": "0" * 40, "commitUrl": f"{self.repository}/commit/{'0' * 40}"})
        else:
            self.answer({})

    def do_GET(self):
        self.answer(
            {"id": "me/thinker", "sha": "0" * 40, "siblings": [], "private": True, "type": "user", "name": "me"}
        )

    def answer(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = HTTPServer(("127.0.0.1", 0), Hub)
    server.heard, server.files, server.created = [], {}, {}
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def pushed(hub, tmp_path, *words) -> subprocess.CompletedProcess:
    here = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "0"}
    environment = os.environ | here | {"HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-m", "tacit", "merge", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_what_is_pushed_is_the_whole_model_with_its_tokenizer(hub, tmp_path):
    thinker = saved(tmp_path / "run")
    done = pushed(hub, tmp_path, str(tmp_path / "run"), "--push", "me/thinker")
    assert done.returncode == 0, done.stderr
    assert hub.created["name"] == "thinker"
    assert "private" in (hub.created.get("visibility"), "private" if hub.created.get("private") else "")  # by version
    assert {token for _, token in hub.heard} == {"Bearer hf_secret"}
    for name, content in hub.files.items():
        (tmp_path / "down" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "down" / name).write_bytes(content)
    assert {"model.safetensors", "tokenizer.json", "thought.json", "thought.safetensors"} <= hub.files.keys()
    check_same(tacit.load(tmp_path / "down").eval(), thinker)


def main_of(*words):
    """Runs a command line; gives its exit code."""
    try:
        main(list(words))
    except SystemExit as end:
        return end.code or 0
    return 0


def test_what_cannot_be_pushed_is_refused_before_anything_is_merged(tmp_path, capsys, monkeypatch):
    saved(tmp_path / "run")
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    assert main_of("merge", str(tmp_path / "run"), str(tmp_path / "whole"), "--push", "a/b/c") == 1
    assert "--push a/b/c: no repository can have this name" in capsys.readouterr().err
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert main_of("merge", str(tmp_path / "run"), str(tmp_path / "whole"), "--push", "me/it") == 1
    assert "nobody is logged in; set HF_TOKEN" in capsys.readouterr().err
    assert main_of("merge", str(tmp_path / "run")) == 2
    assert not (tmp_path / "whole").exists()


def test_a_hub_that_says_no(tmp_path, monkeypatch):
    from tacit.publish import push

    (tmp_path / "model").mkdir()
    with pytest.raises(TacitError, match=r"me/it could not be pushed: .*HF_TOKEN"):
        push(tmp_path / "model", "me/it")  # tests are offline
