"""Encoders behind two seams, `base.ImageTextEncoder` and `base.TextEncoder`. Only loading one imports torch."""

from retrieval.encoders.base import ImageTextEncoder, TextEncoder

__all__ = ["ImageTextEncoder", "TextEncoder", "load_image_text", "load_text"]


def load_image_text(name: str, device: str = "cpu") -> ImageTextEncoder:
    """ "pocket", "hf-hub:org/model", a folder, or "fake". Raises `Misconfigured`."""
    if name == "fake":
        from retrieval.encoders.fake import FakeImageTextEncoder

        return FakeImageTextEncoder()
    from retrieval.encoders.openclip import OpenClipEncoder

    return OpenClipEncoder(name, device)


def load_text(name: str, device: str = "cpu") -> TextEncoder:
    """ "pocket", a folder, a hub name, or "fake". Raises `Misconfigured`."""
    if name == "fake":
        from retrieval.encoders.fake import FakeTextEncoder

        return FakeTextEncoder()
    from retrieval.encoders.passages import TransformersTextEncoder

    return TransformersTextEncoder(name, device)
