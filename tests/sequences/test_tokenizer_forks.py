import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("parallelism", ["true", None])
def test_a_forked_process_can_read_texts_after_its_parent_has(parallelism: str | None) -> None:
    program = """
import os
from tokenizers import Tokenizer, models, pre_tokenizers
from bothways.sequences.text import TextReader

tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
reader = TextReader(tokenizer, vocab_size=2)
texts = ["a b b a"] * 2000
before = [len(tokenized) for tokenized in reader.read(texts)]
child = os.fork()
if child == 0:
    os._exit(0 if [len(tokenized) for tokenized in reader.read(texts)] == before else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert os.environ.get("TOKENIZERS_PARALLELISM") == PARALLELISM
""".replace("PARALLELISM\n", f"{parallelism!r}\n")
    environment = {**os.environ, "RAYON_NUM_THREADS": "2"}
    environment.pop("TOKENIZERS_PARALLELISM", None)
    if parallelism:
        environment["TOKENIZERS_PARALLELISM"] = parallelism
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    subprocess.run(command, check=True, timeout=60, env=environment)
