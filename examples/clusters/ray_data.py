"""Add vectors to the rows of a pipeline of Ray Data.

python ray_data.py INPUT.parquet OUTPUT/
"""

import sys

import ray

from bothways.jobs.ray import Encode


def main(source: str, output: str) -> None:
    """Encode the column `text`."""
    rows = ray.data.read_parquet(source)
    encoded = rows.map_batches(
        Encode,
        fn_constructor_kwargs={"model": "minilm", "column": "text"},
        batch_format="pyarrow",
        batch_size=1024,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=8),
    )
    encoded.write_parquet(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
