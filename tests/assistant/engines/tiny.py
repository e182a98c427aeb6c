"""A Qwen2-VL of a hundred thousand random weights, made on the spot: real enough for transformers, peft and vLLM.

Every token is one printable character, so a text has one way to be cut into tokens, and scoring what was generated
must give what generation said.
"""

import json
from pathlib import Path
from typing import Any

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{% if c.type in ('image', 'image_url') or 'image' in c %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in c %}{{ c.text }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PICTURE, CONTEXT = 56, 256
IMAGE_TOKENS = 6  # 56 / 14 / 2 squared, and the two around them


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # The byte-level alphabet's names of space and newline, and every other printable character as itself.
    letters = [chr(code) for code in range(33, 127)] + ["\u0120", "\u010a"]
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def tiny_model(folder: Path, seed: int = 3) -> Path:
    """Writes the checkpoint, with its `consult.json`, into a folder; returns the folder."""
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, Qwen2VLVideoProcessor
    from transformers.models.qwen2_vl import Qwen2VLImageProcessor

    tokenizer = _tokenizer()
    token = tokenizer.convert_tokens_to_ids
    pictures = Qwen2VLImageProcessor(min_pixels=PICTURE**2, max_pixels=PICTURE**2, patch_size=14, merge_size=2)
    processor = Qwen2VLProcessor(pictures, tokenizer, Qwen2VLVideoProcessor(), chat_template=TEMPLATE)
    ends = {"bos_token_id": token("<|endoftext|>"), "eos_token_id": token("<|im_end|>")}
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT,
            "tie_word_embeddings": True, "pad_token_id": token("<|endoftext|>"), "initializer_range": 0.15, **ends,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]},
        },
        vision_config={
            "embed_dim": 64, "hidden_size": 64, "depth": 1, "num_heads": 2, "mlp_ratio": 2, "patch_size": 14,
            "spatial_merge_size": 2, "temporal_patch_size": 2, "initializer_range": 0.15,
        },
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True, initializer_range=0.15,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config)
    with torch.no_grad():  # an untrained model must never say a special token: they don't survive as text
        model.get_input_embeddings().weight[: len(SPECIAL)] = 0
    model.generation_config.eos_token_id = ends["eos_token_id"]
    model.generation_config.pad_token_id = token("<|endoftext|>")
    model.to(torch.bfloat16).save_pretrained(folder)
    processor.save_pretrained(folder)
    card = {"domains": ["chest_xray"], "demonstration": True, "picture": PICTURE, "image_tokens": IMAGE_TOKENS}
    (folder / "consult.json").write_text(json.dumps(card))
    return folder


def tiny_adapter(model: Path, folder: Path) -> Path:
    """Writes a peft adapter of the tiny model that changes its answers; returns the folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(1)
    base = AutoModelForImageTextToText.from_pretrained(model)
    targets = r".*language_model.*(q_proj|v_proj)"
    get_peft_model(base, LoraConfig(r=8, target_modules=targets, init_lora_weights=False)).save_pretrained(folder)
    return folder
