"""Handlers: from a request of a dialect to what the server computes, and back."""
