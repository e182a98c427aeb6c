"""Encoders behind the seams of `base`: of pictures, of passages, and a reranker. Only loading one imports torch."""

from pathlib import Path

from retrieval.encoders.base import ImageTextEncoder, Reranker, TextEncoder

__all__ = ["ImageTextEncoder", "Reranker", "TextEncoder", "load_image_text", "load_reranker", "load_text"]


def load_image_text(name: str, device: str = "cpu") -> ImageTextEncoder:
    """ "pocket"; a folder, read by open_clip where it holds open_clip_config.json, else by transformers;
    "hf-hub:org/model" through open_clip, "org/model" through transformers; or "fake". Raises `Misconfigured`."""
    if name == "fake":
        from retrieval.encoders.fake import FakeImageTextEncoder

        return FakeImageTextEncoder()
    if name == "pocket" or name.startswith(("hf-hub:", "local-dir:")) or _is_open_clip(name):
        from retrieval.encoders.openclip import OpenClipEncoder

        return OpenClipEncoder(name, device)
    from retrieval.encoders.imagetext import TransformersImageTextEncoder

    return TransformersImageTextEncoder(name, device)


def load_text(name: str, device: str = "cpu") -> TextEncoder:
    """ "pocket", a folder, a hub name, two of them joined by "+" (for questions and for passages), or "fake". Raises
    `Misconfigured`."""
    if name == "fake":
        from retrieval.encoders.fake import FakeTextEncoder

        return FakeTextEncoder()
    from retrieval.encoders.passages import TransformersTextEncoder

    return TransformersTextEncoder(name, device)


def load_reranker(name: str, device: str = "cpu") -> Reranker:
    """A folder, a hub name, or "fake". Raises `Misconfigured`."""
    if name == "fake":
        from retrieval.encoders.fake import FakeReranker

        return FakeReranker()
    from retrieval.encoders.reranker import CrossEncoder

    return CrossEncoder(name, device)


def _is_open_clip(name: str) -> bool:
    return (Path(name).expanduser() / "open_clip_config.json").is_file()
