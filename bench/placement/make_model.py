"""Makes the bench's model without any model hub: a random Llama of 57M parameters, 8 layers of width 768.

Big enough that computing a prompt takes long beside everything else, so that what a cached prefix saves can
be seen on one core. Runs in the engine's environment, with the project's root on the path: make_model.py OUT
"""

import sys
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from e2e.models.make_models import train_tokenizer

VOCABULARY = 8192
LONGEST = 8192


def make(out: Path) -> None:
    """The model and its tokenizer, in a folder that's made."""
    tokenizer = train_tokenizer(VOCABULARY)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=8,
        num_attention_heads=12,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=LONGEST,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
