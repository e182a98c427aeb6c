"""Engines: what turns a prompt into text. Each is one file behind `base.Engine`."""
