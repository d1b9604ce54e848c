"""Classes with the interface of sentence-transformers 6.2, run by bothways.

    from bothways.drop_in import SentenceTransformer  # was: from sentence_transformers import ...

torch is imported only where a call returns tensors. An argument that bothways cannot give the same
meaning raises `InputError`, which is a `ValueError`.
"""

from bothways.drop_in.cross_encoder import CrossEncoder
from bothways.drop_in.multi_vector_encoder import MultiVectorEncoder
from bothways.drop_in.sentence_transformer import SentenceTransformer
from bothways.drop_in.sparse_encoder import SparseEncoder

__all__ = ["CrossEncoder", "MultiVectorEncoder", "SentenceTransformer", "SparseEncoder"]
