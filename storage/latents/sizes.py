"""The figures of a size report, as dataclasses whose fields are the keys of size_report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from storage.files.manifest import Json

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Sizes:
    """Bytes of the source and of the store.

    store: all that decoding reads: shards, decoder and manifest. shards: its shard files, of
    latents, of values, and of columns that are no numbers. exact_rows_raw: rows kept exactly,
    unpacked.
    """

    source: int
    float32: int
    lossless: int
    store: int
    shards: int
    latents: int
    values: int
    exact_rows_raw: int
    decoder: int
    manifest: int
    columns: int = 0


@dataclass(frozen=True)
class Ratios:
    """How many times smaller the store is than the source, float32, and the lossless form."""

    source: float
    float32: float
    lossless: float
    source_without_model: float
    float32_without_model: float

    @classmethod
    def of(cls, sizes: Sizes) -> Ratios:
        """Compute the ratios from sizes in bytes."""
        without_model = sizes.store - sizes.decoder
        return cls(
            source=size_ratio(sizes.source, sizes.store),
            float32=size_ratio(sizes.float32, sizes.store),
            lossless=size_ratio(sizes.lossless, sizes.store),
            source_without_model=size_ratio(sizes.source, without_model),
            float32_without_model=size_ratio(sizes.float32, without_model),
        )


@dataclass(frozen=True)
class LosslessForm:
    """Bytes of the source without loss, scaled up from a sample of `measured_on_bytes`."""

    bytes: int
    measured_on_bytes: int
    how: str = "pcodec by column or zstd at level 19, narrowest exact dtype, whichever is smaller"


@dataclass(frozen=True)
class LossFigures:
    """Differences to the source in data units, and as shares of its range (None if that is 0).

    rows: number of rows that were compared. p999: a difference that 99.9 % of their values do not
    exceed.
    """

    rows: int
    rmse: float
    largest: float
    p999: float
    range: float
    rmse_of_range: float | None
    largest_of_range: float | None
    p999_of_range: float | None


@dataclass(frozen=True)
class ColumnLoss:
    """Differences of one column, and its bound if it has one, in data units."""

    name: str
    rmse: float
    largest: float
    bound: float | None


@dataclass(frozen=True)
class BoundKept:
    """The error bound, and how much of it the store uses.

    asked: as in the job file. values: number of values compared. codecs: rows by codec.
    """

    asked: Mapping[str, float]
    values: int
    held: bool
    largest_of_bound: float | None
    rmse_of_bound: float | None
    codecs: Mapping[str, int]


@dataclass(frozen=True)
class ContestEntry:
    """A codec of the contest, and the size of the whole store if written by it."""

    codec: str
    bytes: int
    ratio: float


@dataclass(frozen=True)
class CurvePoint:
    """Error against ratio for another codec or other bits."""

    codec: str
    rmse: float
    ratio: float


@dataclass(frozen=True)
class SizeReport:
    """What a store costs, saves and loses.

    extras: bytes that decoding does not read, by what they hold. break_even_rows: rows after which
    the decoder has paid for itself against the lossless form, None if it never does.
    """

    rows: int
    bytes: Sizes
    extras: Mapping[str, int]
    ratio: Ratios
    lossless: LosslessForm
    break_even_rows: int | None
    exact_rows: int
    outside_values: int
    loss: LossFigures
    columns: list[ColumnLoss]
    bound: BoundKept | None
    contest: list[ContestEntry]
    error_against_ratio: list[CurvePoint] = field(default_factory=list)

    def to_json(self) -> Json:
        """Return the content of size_report.json."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: Json) -> SizeReport:
        """Rebuild a report from `to_json`. Raises KeyError and TypeError."""
        flat = cls(**{name: value for name, value in content.items() if name != "format_version"})
        return replace(
            flat,
            bytes=Sizes(**content["bytes"]),
            ratio=Ratios(**content["ratio"]),
            lossless=LosslessForm(**content["lossless"]),
            loss=LossFigures(**content["loss"]),
            columns=[ColumnLoss(**each) for each in content["columns"]],
            bound=BoundKept(**content["bound"]) if content["bound"] else None,
            contest=[ContestEntry(**each) for each in content["contest"]],
            error_against_ratio=[CurvePoint(**each) for each in content["error_against_ratio"]],
        )


def size_ratio(before: int, after: int) -> float:
    """Return how many times smaller `after` is, to three decimals; 0 if it is empty."""
    return round(before / after, 3) if after else 0.0
