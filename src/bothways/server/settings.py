"""Settings of a server.

Each setting is declared once, as an option on a dataclass field: the file, the environment and the
command line follow from it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

from bothways.errors import ConfigError
from bothways.inference.backends import BackendName, Precision
from bothways.io.options import Option, check_options
from bothways.model.read_options import ReadOptions
from bothways.sequences import OnOverflow

__all__ = [
    "ENVIRONMENT_PREFIX",
    "BatchingSettings",
    "Limits",
    "LogSettings",
    "ModelSettings",
    "NetworkSettings",
    "ServerSettings",
]

ENVIRONMENT_PREFIX = "BOTHWAYS_SERVE_"

_NETWORK, _LIMITS, _BATCHING, _LOG, _MODELS = (
    "Network", "Limits", "Batching", "Log", "Models",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Where the server listens, who may use it, and how it ends."""

    host: Annotated[
        str, Option("Address to listen on; any but loopback needs keys.", group=_NETWORK)
    ] = "127.0.0.1"
    port: Annotated[
        int, Option("Port; 0 for a free one.", group=_NETWORK, minimum=0, maximum=65535)
    ] = 8808
    uds: Annotated[
        str,
        Option(
            "Unix socket to listen on, with mode 0600, instead of host and port.",
            group=_NETWORK, unit="PATH",
        ),
    ] = ""  # fmt: skip
    fd: Annotated[
        int | None,
        Option(
            "Descriptor of a listening socket (default: the one that systemd passes, if any).",
            group=_NETWORK, unit="N", minimum=0, advanced=True,
        ),
    ] = None  # fmt: skip
    api_keys_file: Annotated[
        str,
        Option(
            "File of keys, a line `name:key` each, which others must not be able to read.",
            group=_NETWORK, unit="FILE",
        ),
    ] = ""  # fmt: skip
    allow_open: Annotated[
        bool,
        Option(
            "Listen on any address without keys, where a firewall decides who can connect.",
            group=_NETWORK, advanced=True,
        ),
    ] = False  # fmt: skip
    page: Annotated[
        bool,
        Option(
            "Serve a page at / on which a person can compare texts in a browser.",
            group=_NETWORK,
        ),
    ] = False  # fmt: skip
    metrics_address: Annotated[
        str,
        Option(
            "HOST:PORT of /metrics without a key, which the main port then does not have.",
            group=_NETWORK, unit="HOST:PORT", advanced=True,
        ),
    ] = ""  # fmt: skip
    allowed_hosts: Annotated[
        tuple[str, ...],
        Option(
            "Host name that requests may use; repeatable, * for any (default: names of loopback; "
            "any where requests need a key).",
            group=_NETWORK, unit="NAME", advanced=True,
        ),
    ] = ()  # fmt: skip
    cors_origins: Annotated[
        tuple[str, ...],
        Option(
            "Origin of web pages that may use the server; repeatable (default: none).",
            group=_NETWORK, unit="ORIGIN", advanced=True,
        ),
    ] = ()  # fmt: skip
    drain_s: Annotated[
        float,
        Option(
            "Seconds that running requests have to finish after SIGTERM.",
            group=_NETWORK, unit="SECONDS", minimum=0, advanced=True,
        ),
    ] = 30.0  # fmt: skip
    drain_delay_s: Annotated[
        float,
        Option(
            "Seconds in which the server is not ready but still accepts, after SIGTERM.",
            group=_NETWORK, unit="SECONDS", minimum=0, advanced=True,
        ),
    ] = 0.0  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)
        if self.metrics_address:
            host, colon, port = self.metrics_address.rpartition(":")
            if not (host and colon and port.isdecimal() and int(port) < 65536):
                raise ConfigError(
                    f"metrics_address={self.metrics_address!r}: expected HOST:PORT, such as "
                    "127.0.0.1:9108"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request, and all of them together, may use."""

    max_body_bytes: Annotated[
        int,
        Option("Bytes of a request.", group=_LIMITS, unit="BYTES", minimum=1, advanced=True),
    ] = 32 << 20
    max_inputs: Annotated[
        int,
        Option("Inputs of a request.", group=_LIMITS, unit="N", minimum=1, advanced=True),
    ] = 2048
    max_request_tokens: Annotated[
        int,
        Option("Tokens of a request.", group=_LIMITS, unit="TOKENS", minimum=1, advanced=True),
    ] = 1_000_000
    max_queue_s: Annotated[
        float,
        Option(
            "Work that may wait, in seconds of computation; more gets status 429.",
            group=_LIMITS, unit="SECONDS", above=0,
        ),
    ] = 10.0  # fmt: skip
    max_requests: Annotated[
        int,
        Option("Requests at a time.", group=_LIMITS, unit="N", minimum=1, advanced=True),
    ] = 512
    max_connections: Annotated[
        int,
        Option("Connections at a time.", group=_LIMITS, unit="N", minimum=1, advanced=True),
    ] = 1024
    body_timeout_s: Annotated[
        float,
        Option(
            "Seconds in which a request must have been received.",
            group=_LIMITS, unit="SECONDS", above=0, advanced=True,
        ),
    ] = 30.0  # fmt: skip
    request_timeout_s: Annotated[
        float,
        Option(
            "Seconds after which a request that still waits is dropped with status 504.",
            group=_LIMITS, unit="SECONDS", above=0,
        ),
    ] = 60.0  # fmt: skip
    keep_alive_s: Annotated[
        int,
        Option(
            "Seconds that an idle connection stays open; longer than a proxy keeps it.",
            group=_LIMITS, unit="SECONDS", minimum=1, advanced=True,
        ),
    ] = 75  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchingSettings:
    """How inputs are put into batches."""

    batch_ms: Annotated[
        float,
        Option(
            "Milliseconds that a batch should take: how long others wait for it.",
            group=_BATCHING, unit="MS", above=0, advanced=True,
        ),
    ] = 50.0  # fmt: skip
    max_batch_tokens: Annotated[
        int,
        Option(
            "Tokens of a batch (default 0: measured, for the time above).",
            group=_BATCHING, unit="TOKENS", minimum=0, advanced=True,
        ),
    ] = 0  # fmt: skip
    linger_ms: Annotated[
        float,
        Option(
            "Milliseconds to wait for more inputs before a batch starts (for GPUs).",
            group=_BATCHING, unit="MS", minimum=0, advanced=True,
        ),
    ] = 0.0  # fmt: skip
    coalesce: Annotated[
        bool,
        Option(
            "Compute equal inputs that wait at the same time once.",
            group=_BATCHING, advanced=True, flags=("--coalesce/--no-coalesce",),
        ),
    ] = True  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogSettings:
    """What is written to standard error."""

    format: Annotated[
        Literal["text", "json"],
        Option("Format of log lines.", group=_LOG, flags=("--log-format",)),
    ] = "text"
    requests: Annotated[
        bool,
        Option(
            "Write a line for each request, which never contains an input.",
            group=_LOG, flags=("--log-requests/--no-log-requests",), advanced=True,
        ),
    ] = True  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings(ReadOptions):
    """A served name: a model, or another name for one, with a prompt of its own.

    Raises:
        ConfigError: unless it has either a source or an alias.
    """

    source: Annotated[
        str,
        Option("The model, as bothways.load takes it.", unit="MODEL", command_line=False),
    ] = ""
    alias: Annotated[
        str,
        Option("The served name of the model to use.", unit="NAME", command_line=False),
    ] = ""
    prompt_name: Annotated[
        str,
        Option(
            "The model's prompt to put before each input unless the request chooses one.",
            unit="NAME", command_line=False,
        ),
    ] = ""  # fmt: skip
    backend: Annotated[
        BackendName, Option("auto, native, torch or reference.", group=_MODELS, unit="NAME")
    ] = "auto"
    precision: Annotated[
        Precision,
        Option("fp32; int8 on native; bf16 or fp16 on a GPU.", group=_MODELS, unit="NAME"),
    ] = "fp32"
    threads: Annotated[
        int,
        Option(
            "CPU threads (default 0: one per core up to 4 cores, one fewer beyond).",
            group=_MODELS, unit="N", minimum=0,
        ),
    ] = 0  # fmt: skip
    on_overflow: Annotated[
        OnOverflow,
        Option(
            "Inputs longer than the model allows, unless the request says: truncate (and say so), "
            "error or window.",
            group=_MODELS, unit="ACTION", advanced=True,
        ),
    ] = "truncate"  # fmt: skip
    token_ids: Annotated[
        Literal["refuse", "model"],
        Option(
            "Token ids as input: refuse, or model: read them as this model's, which no client "
            "sends unless it has the model's tokenizer.",
            group=_MODELS, advanced=True,
        ),
    ] = "refuse"  # fmt: skip  # noqa: S105
    warm_up: Annotated[
        bool,
        Option(
            "Compute a few batches before the server is ready, which measures the speed.",
            group=_MODELS, flags=("--warm-up/--no-warm-up",), advanced=True,
        ),
    ] = True  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)
        if bool(self.source) == bool(self.alias):
            raise ConfigError("expected either source (a model) or alias (a served name)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """All settings of a server; models by their served names.

    Raises:
        ConfigError: naming the table, the field, and what was expected.
    """

    models: Mapping[str, ModelSettings]
    server: NetworkSettings = NetworkSettings()
    limits: Limits = Limits()
    batching: BatchingSettings = BatchingSettings()
    log: LogSettings = LogSettings()

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError(
                "no model to serve; name one, as in `bothways serve minilm`, or in a table "
                "[models.NAME] of the --config file"
            )
        for name, model in self.models.items():
            if not name or not name.isprintable():
                raise ConfigError(f"models.{name!r}: expected a printable name")
            if model.alias and not getattr(self.models.get(model.alias), "source", ""):
                sources = ", ".join(n for n, m in self.models.items() if m.source)
                raise ConfigError(
                    f"models.{name}: alias={model.alias!r}: expected a served model with a "
                    f"source: {sources}"
                )
