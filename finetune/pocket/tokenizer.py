"""The pocket models' tokenizers: byte-level BPE learnt from the texts they will read, so that every text has tokens."""

from collections.abc import Iterable
from typing import Any

CHAT_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip

# Loops over parts, so that vLLM recognises the format and keeps pictures where they stand.
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{% if c.type in ('image', 'image_url') or 'image' in c %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in c %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _bpe(texts: Iterable[str], vocabulary: int, special: tuple[str, ...]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(special), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def chat_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """For the vision-language model; at most `vocabulary` tokens."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=_bpe(texts, vocabulary, CHAT_TOKENS), eos_token="<|im_end|>", pad_token="<|endoftext|>",
        model_max_length=1024,
    )  # fmt: skip


def text_tokenizer(texts: Iterable[str], vocabulary: int, length: int) -> Any:
    """For encoders: lower case, [CLS] … [EOS]; [PAD] is 0, and [EOS] has the highest number, where CLIP pools."""
    from tokenizers import normalizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = _bpe((text.lower() for text in texts), vocabulary - 1, ("[PAD]", "[CLS]"))
    inner.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    inner.add_special_tokens(["[EOS]"])
    eos = inner.token_to_id("[EOS]")
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [EOS]", special_tokens=[("[CLS]", inner.token_to_id("[CLS]")), ("[EOS]", eos)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", cls_token="[CLS]", eos_token="[EOS]", model_max_length=length
    )
