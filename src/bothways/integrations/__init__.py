"""Adapters for other frameworks, a module for each: `bothways.integrations.langchain` and so on.

Each imports its framework, and no other module of bothways imports it. All take the options of
`EmbedderOptions`, and what they serialize has the model's source and its fingerprint.
"""
