"""The HTTP face of the DeepSeek stand-in, and what it costs to talk to it."""

import asyncio
import hashlib
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from emulators.bearer import is_authorized
from emulators.chat.answers import Answer, write_answer
from emulators.chat.errors import RefusedChat, answer_refused, error_shape
from emulators.chat.requests import ChatRequest, read_chat_request
from emulators.chat.tokens import PrefixCache, token_count
from emulators.connections import blanks_before
from emulators.faults.carrying_out import befall_after, befall_before
from emulators.faults.plan import FaultPlan, Fired
from emulators.faults.rules import BlankContent, FinishReason, KeepAliveBlanks
from emulators.ledger import CURRENCY, Ledger, Purchase
from emulators.options import EmulatorOptions
from emulators.prices import CHAT_PRICES, Usage, chat_price_micros

MICROS = 1_000_000


class ChatRoutes:
    """Chat completions, the list of models and the balance."""

    def __init__(self, options: EmulatorOptions, faults: FaultPlan, ledger: Ledger) -> None:
        self._options = options
        self._faults = faults
        self._ledger = ledger
        self._cache = PrefixCache()

    def join(self, app: FastAPI) -> None:
        """Open the routes."""
        for path in ("/chat/completions", "/v1/chat/completions"):
            app.router.add_route(path, self.complete, methods=["POST"])
        for path in ("/models", "/v1/models"):
            app.router.add_route(path, self.list_models, methods=["GET"])
        app.router.add_route("/user/balance", self.show_balance, methods=["GET"])
        app.add_exception_handler(RefusedChat, answer_refused)

    async def complete(self, request: Request) -> Response:
        """Answer a chat, or say why not; `chat` faults befall valid requests only."""
        body = await request.body()
        self._let_in(request)
        chat = read_chat_request(body)
        call = request.headers.get("x-darkroom-call")
        fired = self._faults.meet("chat", chat.whole_prompt, call)
        if instead := await befall_before(fired, request, error_shape):
            return instead
        self._refuse_without_balance()
        with self._ledger.open_call("chat"):
            answer, usage = self._accept(chat, body, call=call, fired=fired)
            return await self._reply(request, _completion(chat, answer, usage), fired)

    async def list_models(self, request: Request) -> Response:
        """List the models that answer."""
        self._let_in(request)
        models = [{"id": name, "object": "model", "owned_by": "deepseek"} for name in CHAT_PRICES]
        return JSONResponse({"object": "list", "data": models})

    async def show_balance(self, request: Request) -> Response:
        """Show what is left of the chat account."""
        self._let_in(request)
        left = f"{max(0, self._left_micros()) / MICROS:.2f}"
        balance = {
            "currency": CURRENCY,
            "total_balance": left,
            "granted_balance": "0.00",
            "topped_up_balance": left,
        }
        return JSONResponse({"is_available": self._left_micros() > 0, "balance_infos": [balance]})

    def _let_in(self, request: Request) -> None:
        if not is_authorized(request, self._options.api_key):
            raise RefusedChat(401, "Authentication Fails: the api key is missing or invalid")

    def _left_micros(self) -> int:
        return self._options.chat_balance_micros - self._ledger.billed_micros["chat"]

    def _refuse_without_balance(self) -> None:
        if self._left_micros() <= 0:
            raise RefusedChat(402, "Insufficient Balance")

    def _accept(
        self, chat: ChatRequest, body: bytes, *, call: str | None, fired: Fired
    ) -> tuple[Answer, Usage]:
        answer = _befallen(write_answer(chat, seed=self._options.seed), fired)
        hit = self._cache.hit_tokens(f"{chat.model}/{chat.user_id}", chat.whole_prompt)
        usage = Usage(
            hit=hit,
            miss=token_count(chat.whole_prompt) - hit,
            output=answer.output_tokens,
            reasoning=answer.reasoning_tokens,
        )
        purchase = Purchase(
            endpoint="chat",
            model=chat.model,
            call=call,
            task_id=None,
            request_sha256=hashlib.sha256(body).hexdigest(),
            amount_micros=chat_price_micros(chat.model, usage, datetime.now(UTC)),
            units=usage.total,
        )
        self._ledger.accept(purchase)
        return answer, usage

    async def _reply(self, request: Request, completion: dict[str, Any], fired: Fired) -> Response:
        if self._options.chat_seconds > 0:
            await asyncio.sleep(self._options.chat_seconds)
        answer = JSONResponse(completion)
        if queued := fired.first(KeepAliveBlanks):
            blanks = blanks_before(bytes(answer.body), seconds=queued.seconds)
            return StreamingResponse(blanks, media_type="application/json")
        return await befall_after(fired, request, answer)


def _befallen(answer: Answer, fired: Fired) -> Answer:
    if fired.first(BlankContent):
        return replace(answer, content=" " * 64)
    ended = fired.first(FinishReason)
    if ended is None:
        return answer
    kept = {"length": len(answer.content) // 2, "content_filter": 0}.get(ended.reason)
    return replace(answer, content=answer.content[:kept], finish_reason=ended.reason)


def _completion(chat: ChatRequest, answer: Answer, usage: Usage) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.content}
    if answer.reasoning is not None:
        message["reasoning_content"] = answer.reasoning
    return {
        "id": str(uuid.uuid4()),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": chat.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": answer.finish_reason,
            }
        ],
        "usage": _usage_shape(usage),
        "system_fingerprint": "fp_emulated",
    }


def _usage_shape(usage: Usage) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "prompt_tokens": usage.hit + usage.miss,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.hit},
        "prompt_cache_hit_tokens": usage.hit,
        "prompt_cache_miss_tokens": usage.miss,
    }
    if usage.reasoning:
        shape["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return shape
