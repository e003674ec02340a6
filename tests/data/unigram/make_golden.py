#!/usr/bin/env python3
"""Makes tokenizer.model, tokenizer.json and ../tokens/unigram.jsonl: a small SentencePiece unigram model with a table of
normalization rules, the same model as Hugging Face's tokenizers have it, and what that library says of some strings.

    pip install sentencepiece tokenizers protobuf
    make_golden.py TEXT.txt        # the text to train on: shared/data/self-heldout.txt
"""
import base64
import json
import os
import sys
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = [("\u2019", "'"), ("\u201c", '"'), ("\u201d", '"'), ("\ufb01", "fi"), ("e\u0301", "\u00e9"),
         ("\u3000", " "), ("\t", " "), ("\n", " "), ("\r", " "), ("\u00a0", " "), ("\u2026", "..."), ("\u200b", ""),
         ("\u00bd", "1/2"), ("\ufdfa", "eighteen characters")]


def hex_of(text):
    return " ".join("%X" % ord(c) for c in text)


def train(text, prefix):
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("".join(f"{hex_of(a)}\t{hex_of(b)}\n" for a, b in RULES))
        rules.flush()
        sentencepiece.SentencePieceTrainer.train(
            input=text, model_prefix=prefix, vocab_size=500, model_type="unigram", normalization_rule_tsv=rules.name,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1, minloglevel=2)
    os.remove(prefix + ".vocab")


# As transformers converts T5's model.
def to_json(model, path):
    spaces = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": p.piece, **flags} for i, p in enumerate(model.pieces) if p.type in (2, 3)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": charsmap},
            {"type": "Strip", "strip_left": False, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]},
        "pre_tokenizer": spaces,
        "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                                                    {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                           "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
        "decoder": spaces,
        "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": False,
                  "vocab": [[p.piece, p.score] for p in model.pieces]}}
    with open(path, "w") as file:
        json.dump(tokenizer, file, ensure_ascii=False)


def main():
    prefix = os.path.join(HERE, "tokenizer")
    train(sys.argv[1], prefix)
    model = sentencepiece_model_pb2.ModelProto()
    with open(prefix + ".model", "rb") as file:
        model.ParseFromString(file.read())
    to_json(model, prefix + ".json")
    fast = Tokenizer.from_file(prefix + ".json")
    slow = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
    tokens = os.path.join(HERE, "..", "tokens")
    with open(os.path.join(tokens, "spm.jsonl")) as file:
        texts = [json.loads(line)["text"] for line in file]
    texts += ["".join(a for a, _ in RULES), "a\u00a0\u3000b \ufb01n \u00bd e\u0301 \u2026", " \u200b ", "x\u200b y",
              "  leading and trailing  ", "\ufdfa\ufdfa"]
    with open(os.path.join(tokens, "unigram.jsonl"), "w") as file:
        for text in texts:
            ids = fast.encode(text, add_special_tokens=False).ids
            assert ids == slow.encode(text), text
            decoded = fast.decode(ids, skip_special_tokens=False)
            file.write(json.dumps({"text": text, "ids": ids, "decoded": decoded}) + "\n")


main()
