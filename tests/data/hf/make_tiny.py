#!/usr/bin/env python3
"""Makes tiny-phi3, tiny-qwen3, tiny-gemma2 and tiny-rope: random checkpoints and the logits that transformers computes.

pip install torch transformers safetensors; run in this folder. Vocabulary: 256 bytes, as tests/formats/made_tokenizer.h
makes it. golden*.safetensors: input_ids [1, T], logits [1, 16, 256] float32 of the last 16 positions.
"""
import json
import os

import torch
import transformers
from safetensors.torch import save_file

LAST = 16
COMMON = dict(vocab_size=256, num_hidden_layers=2, bos_token_id=0, eos_token_id=1, pad_token_id=None)


def randomize(model, seed):
    """Weights as large as those of trained models, rounded to BF16 as the file holds them."""
    torch.manual_seed(seed)
    for name, weight in model.named_parameters():
        values = torch.randn(weight.shape)
        if "norm" in name:
            values = 0.2 * values + (0 if model.config.model_type == "gemma2" else 1)
        elif weight.dim() == 1:
            values = 0.3 * values
        else:
            values = values * (1.5 / weight.shape[-1] ** 0.5)
        weight.data = values.to(torch.bfloat16).to(torch.float32)


def golden(config, state, tokens, path, seed):
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    if state is None:
        randomize(model, seed)
    else:
        model.load_state_dict(state)
    torch.manual_seed(seed + 1)
    ids = torch.randint(0, 256, (1, tokens))
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits[:, -LAST:].float().contiguous()
    save_file({"input_ids": ids, "logits": logits}, path)
    return model.state_dict()


def save_weights(state, folder, tied):
    tensors = {k: v.to(torch.bfloat16).contiguous() for k, v in state.items() if not (tied and k == "lm_head.weight")}
    save_file(tensors, folder + "/model.safetensors", {"format": "pt"})


def save_config(config, path):
    values = config.to_dict()
    for key in ("transformers_version", "_name_or_path", "dtype"):
        values.pop(key, None)
    with open(path, "w") as file:
        json.dump(values, file, indent=1, sort_keys=True)


def checkpoint(folder, config, name, lengths, seed):
    os.makedirs(folder, exist_ok=True)
    config.architectures = [name]
    state = None
    for suffix, tokens in lengths.items():
        state = golden(config, state, tokens, f"{folder}/golden{suffix}.safetensors", seed)
    save_weights(state, folder, config.tie_word_embeddings)
    save_config(config, folder + "/config.json")


checkpoint("tiny-phi3", transformers.Phi3Config(
    **COMMON, hidden_size=32, intermediate_size=64, num_attention_heads=2, num_key_value_heads=1,
    max_position_embeddings=128, original_max_position_embeddings=32, sliding_window=21,
    rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75,
                         short_factor=[1.0, 1.05, 1.1, 1.2, 1.4, 1.5], long_factor=[1.0, 1.2, 1.9, 3.0, 4.0, 4.5])),
    "Phi3ForCausalLM", {"-short": 30, "": 64}, 1)

checkpoint("tiny-qwen3", transformers.Qwen3Config(
    **COMMON, hidden_size=32, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
    tie_word_embeddings=True, max_position_embeddings=256, use_sliding_window=True, sliding_window=13,
    max_window_layers=1, rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
    "Qwen3ForCausalLM", {"": 64}, 2)

checkpoint("tiny-gemma2", transformers.Gemma2Config(
    **COMMON, hidden_size=32, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
    query_pre_attn_scalar=20, attn_logit_softcapping=2.0, final_logit_softcapping=5.0, sliding_window=11,
    max_position_embeddings=256, rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
    "Gemma2ForCausalLM", {"": 64}, 3)

# One Llama, with biases, under three kinds of RoPE scaling.
os.makedirs("tiny-rope", exist_ok=True)
LLAMA = dict(**COMMON, hidden_size=32, intermediate_size=64, num_attention_heads=2, num_key_value_heads=1,
             architectures=["LlamaForCausalLM"], attention_bias=True, mlp_bias=True, tie_word_embeddings=True)
state = None
for kind, context, rope in (
        ("linear", 256, dict(rope_type="linear", factor=4.0)),
        ("dynamic", 32, dict(rope_type="dynamic", factor=2.0)),
        ("yarn", 128, dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=8.0)),
        ("yarn-factor", 128, dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32,
                                  attention_factor=1.3))):
    config = transformers.LlamaConfig(**LLAMA, max_position_embeddings=context,
                                      rope_parameters=dict(rope_theta=10000.0, **rope))
    state = golden(config, state, 64, f"tiny-rope/golden-{kind}.safetensors", 4)
    save_config(config, f"tiny-rope/config-{kind}.json")
    save_weights(state, "tiny-rope", True)
