"""Makes tiny mixture-of-experts models with random weights: ``python weights.py FOLDER``, with the engine's own Python.

They say nothing sensible, but they are of the architectures that the engine serves, with a tokeniser of single bytes
and chat templates that read the switches of their families. The templates are ours, written after what the vendors
document: how many tokens a prompt has then tells what reached the template.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import Glm4MoeConfig, Glm4MoeForCausalLM, PreTrainedTokenizerFast, Qwen3MoeConfig, Qwen3MoeForCausalLM

SEED = 17
MARKS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
SHAPE = {
    "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64,
    "intermediate_size": 128, "moe_intermediate_size": 64, "num_experts_per_tok": 2, "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}  # fmt: skip

QWEN_TEMPLATE = """\
{%- macro turn(role) -%}<|im_start|>{{ role }}{{ '\\n' }}{%- endmacro -%}
{%- if tools -%}{{ turn('system') }}{%- for tool in tools -%}{{ tool | tojson }}{%- endfor -%}<|im_end|>{%- endif -%}
{%- for message in messages -%}
  {%- if message.role == 'tool' -%}{{ turn('user') }}<tool_response>{{ message.content }}</tool_response><|im_end|>
  {%- else -%}{{ turn(message.role) }}{{ message.content or '' }}
    {%- for call in message.tool_calls or [] -%}
      <tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
    {%- endfor -%}<|im_end|>
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ turn('assistant') }}
  {%- if enable_thinking is defined and enable_thinking is false -%}<think>{{ '\\n\\n' }}</think>{{ '\\n\\n' }}
  {%- endif -%}
{%- endif -%}"""
"""Like Qwen3's: thinking is on unless ``enable_thinking`` is false, and earlier reasoning is left out."""

GLM_TEMPLATE = """\
[gMASK]<sop>
{%- if tools -%}<|system|>{%- for tool in tools -%}{{ tool | tojson }}{%- endfor -%}{%- endif -%}
{%- for message in messages -%}
  {%- if message.role == 'tool' -%}<|observation|><tool_response>{{ message.content }}</tool_response>
  {%- else -%}<|{{ message.role }}|>
    {%- set thought = message.reasoning_content or message.reasoning -%}
    {%- if thought -%}<think>{{ thought }}</think>{%- endif -%}{{ message.content or '' }}
    {%- for call in message.tool_calls or [] -%}
      <tool_call>{{ call.function.name }}{{ call.function.arguments | tojson }}</tool_call>
    {%- endfor -%}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>
  {%- if enable_thinking is defined and not enable_thinking -%}</think>{%- else -%}<think>{%- endif -%}
{%- endif -%}"""
"""Like GLM-4.7's: the template opens or closes the thinking itself, and keeps the reasoning of tool loops."""


def main(folder: Path) -> None:
    """Write both models, each in a folder of the name by which its family is known."""
    qwen_marks = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    _write(folder / "Qwen3-30B-A3B", Qwen3MoeConfig, Qwen3MoeForCausalLM, QWEN_TEMPLATE, qwen_marks, num_experts=4)
    glm_marks = ("<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>",
                 "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>")  # fmt: skip
    _write(
        folder / "GLM-4.7", Glm4MoeConfig, Glm4MoeForCausalLM, GLM_TEMPLATE, glm_marks,
        n_routed_experts=4, n_shared_experts=1, first_k_dense_replace=1, n_group=1, topk_group=1, use_qk_norm=True,
    )  # fmt: skip


def _write(folder: Path, config: Any, model: Any, template: str, marks: tuple[str, ...], **shape: Any) -> None:
    tokeniser = _tokeniser(template, marks)
    ends = marks.index("<|im_end|>") if "<|im_end|>" in marks else marks.index("<|endoftext|>")
    ends = tokeniser.convert_tokens_to_ids(marks[ends])
    torch.manual_seed(SEED)
    settings = config(
        vocab_size=len(tokeniser), eos_token_id=ends, pad_token_id=ends, bos_token_id=None, **SHAPE, **shape
    )
    model(settings).to(torch.bfloat16).save_pretrained(folder)
    tokeniser.save_pretrained(folder)


def _tokeniser(template: str, marks: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """Make a tokeniser with a token for every byte and every mark of the template."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={byte: number for number, byte in enumerate(bytes_)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    end = "<|im_end|>" if "<|im_end|>" in marks else "<|endoftext|>"
    tokeniser = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=end, pad_token=end, chat_template=template)
    tokeniser.add_tokens(list(marks), special_tokens=True)
    tokeniser.add_tokens(list(MARKS))
    return tokeniser


if __name__ == "__main__":
    main(Path(sys.argv[1]))
