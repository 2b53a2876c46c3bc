"""The section `bolt.synthesis` of a recipe: who writes thoughts for the warm start, and at what price."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from tacit.settings import Settings

Kind = Literal["latent_thoughts", "wrap_baseline", "wrap_cot"]


class Synthesis(Settings):
    """A stronger model writes: thoughts behind chunks (latent_thoughts), or whole documents anew (wrap_baseline, wrap_cot)."""

    backend: Literal["endpoint", "engine", "dummy"] = "endpoint"
    """endpoint: any server that speaks the OpenAI protocol. engine: a model of our own, in this process. dummy: no model, always
    the same words, for trying things out."""
    model: str = "gpt-4o-mini-2024-07-18"
    """What the server calls its model; for engine a run, a folder or a hub id."""
    url: str = "https://api.openai.com/v1"
    """Where the server answers: what stands before /chat/completions."""
    key: str | None = "OPENAI_API_KEY"
    """The variable, of the environment or of a file .env, that holds the server's key; null for a server without one."""
    temperature: float = Field(default=0.7, ge=0)
    """Sampling temperature."""
    max_tokens: int = Field(default=6_000, ge=1)
    """Longest answer."""
    repeats: int = Field(default=1, ge=1)
    """How often every document is written anew; for latent_thoughts, 1."""
    window: int | None = Field(default=1, ge=0)
    """How many chunks before a chunk are shown with it; null shows all."""
    attempts: int = Field(default=3, ge=1)
    """Answers that are asked for until one can be used; then the chunk stays without a thought and is counted."""
    patience: int = Field(default=8, ge=0)
    """How often a server that is busy or broken is asked again, with longer and longer pauses."""
    timeout: float = Field(default=180.0, gt=0)
    """Seconds until a server counts as broken."""
    parallel: int = Field(default=32, ge=1)
    """Requests under way at once; for engine, rows in flight."""
    per_minute: float | None = Field(default=None, gt=0)
    """Requests a minute at most."""
    price_in: float = Field(default=0.0, ge=0)
    """Price of a million tokens of prompts."""
    price_out: float = Field(default=0.0, ge=0)
    """Price of a million tokens of answers."""
    budget: float | None = Field(default=None, gt=0)
    """What one process may spend; it then stops, and what is paid for is kept."""
    seed: int = Field(default=42, ge=0)
    """Of styles and answers."""
    shard: int = Field(default=200, ge=1)
    """Documents that one process takes at a time."""

    @field_validator("url")
    @classmethod
    def _can_be_asked(cls, url: str) -> str:
        if not re.match(r"https?://[^/]", url):
            raise ValueError(
                f"{url} is no address: it must begin with http:// or https://, as http://127.0.0.1:8000/v1"
            )
        if url.rstrip("/").endswith("/chat/completions"):
            raise ValueError(f"{url}: /chat/completions is added to it; set what stands before")
        return url

    @model_validator(mode="after")
    def _priced(self) -> "Synthesis":
        if self.budget is not None and not (self.price_in or self.price_out):
            raise ValueError("a budget needs prices; set price_in and price_out, of a million tokens each")
        return self
