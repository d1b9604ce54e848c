"""The origin of vectors in a database, as JSON: which model and options made them."""

import dataclasses
import json

from bothways import Encoder
from bothways.files import Origin, check_comparable

__all__ = ["check_encoder", "check_origin", "dump_origin"]


def dump_origin(origin: Origin) -> str:
    """The origin as JSON, to store with the vectors."""
    return json.dumps(dataclasses.asdict(origin))


def check_origin(stored: str, origin: Origin, name: str) -> None:
    """Raise DataFileError unless vectors can be added to those of a stored origin.

    name: of the table, for the message.
    """
    check_comparable(origin, Origin.from_json(json.loads(stored), name), name)


def check_encoder(stored: str, encoder: Encoder) -> None:
    """Raise ValueError unless the encoder is the one that made the stored vectors."""
    origin = json.loads(stored)
    if encoder.fingerprint != origin["fingerprint"]:
        raise ValueError(
            f"the vectors were made by {origin['model']} with fingerprint {origin['fingerprint']}, "
            f"the query by {encoder.fingerprint}: load the model that made the vectors"
        )
