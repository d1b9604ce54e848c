"""Tokenizers of model folders: their files, settings and vocabularies."""
