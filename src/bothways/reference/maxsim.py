"""MaxSim: the score of a document for a query, both with one vector per token.

L tokens of a query, M of a document; D dimensions.
"""

from array_api_compat import array_namespace
from jaxtyping import Float

from bothways.reference.layers import Array

__all__ = ["maxsim"]


def maxsim(q_LD: Float[Array, "L D"], d_MD: Float[Array, "M D"]) -> Float[Array, ""]:
    """The sum over the query's tokens of the largest dot product with a token of the document.

    Khattab and Zaharia 2020, equation 3. 0 for a document without tokens.
    """
    xp = array_namespace(q_LD)
    if d_MD.shape[0] == 0 or q_LD.shape[0] == 0:
        return xp.asarray(0, dtype=q_LD.dtype)
    return xp.sum(xp.max(q_LD @ xp.permute_dims(d_MD, (1, 0)), axis=1))
