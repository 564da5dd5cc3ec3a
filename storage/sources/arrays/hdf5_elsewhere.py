"""Values of an HDF5 dataset that lie in other files: virtual and external datasets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
from h5py import h5s

from storage.errors import SourceError
from storage.sources.arrays.hdf5_errors import READ_ERRORS, open_hdf5

SAME_FILE = "."
PATTERN = "%b"  # HDF5 counts the files of such a name until one is absent


@dataclass(frozen=True)
class MappedPart:
    """One mapping of a virtual dataset in `file` to a dataset of another file.

    selected: the values taken from the source; they become `n_values` values.
    """

    file: h5py.File
    source_file: str
    source_name: str
    selected: h5s.SpaceID
    n_values: int

    def __str__(self) -> str:
        return f"{self.source_file}[{self.source_name}]"

    @contextmanager
    def opened(self, label: str) -> Iterator[h5py.Dataset]:
        """Open the source. Raises SourceError if it is absent, or smaller than what is mapped."""
        with self._open_file(label) as file:
            source = self._dataset(file, label)
            if not self._fits(source):
                raise SourceError(
                    f"{label}: its source {self} has the shape {source.shape}, which is smaller "
                    "than the part mapped to it; restore that file"
                )
            yield source

    @contextmanager
    def _open_file(self, label: str) -> Iterator[h5py.File]:
        if self.source_file == SAME_FILE:
            yield self.file
            return
        self._require_file(label)
        with open_hdf5(resolved(self.file, self.source_file)) as file:
            yield file

    def _require_file(self, label: str) -> None:
        if PATTERN in self.source_file:
            raise SourceError(
                f"{label}: maps to files by the pattern '{self.source_file}', and HDF5 passes over "
                "absent ones in silence; map each file by its name"
            )
        if not resolved(self.file, self.source_file).is_file():
            raise SourceError(f"{label}: its source {self} does not exist; restore that file")

    def _dataset(self, file: h5py.File, label: str) -> h5py.Dataset:
        try:
            return file[self.source_name]
        except READ_ERRORS as error:
            raise SourceError(
                f"{label}: its source {self} cannot be read ({error}); restore that file"
            ) from error

    def _fits(self, source: h5py.Dataset) -> bool:
        if self.selected.get_select_type() == h5s.SEL_ALL:
            return bool(source.size >= self.n_values)
        if _is_unlimited(self.selected):
            return True  # HDF5 gives the virtual dataset the extent of the source
        last = self.selected.get_select_bounds()[1]
        inside = [end < size for end, size in zip(last, source.shape, strict=False)]
        return len(last) == source.ndim and all(inside)


def mapped_parts(dataset: h5py.Dataset) -> list[MappedPart]:
    """Return the mappings of a virtual dataset."""
    return [
        MappedPart(
            dataset.file,
            mapping.file_name,
            mapping.dset_name,
            mapping.src_space,
            dataset.size if _is_unlimited(mapping.vspace) else mapping.vspace.get_select_npoints(),
        )
        for mapping in dataset.virtual_sources()
    ]


def _is_unlimited(space: h5s.SpaceID) -> bool:
    if space.get_select_type() != h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return False
    _, _, count, block = space.get_regular_hyperslab()
    return h5s.UNLIMITED in (*count, *block)


def require_external(dataset: h5py.Dataset, label: str) -> None:
    """Require whole external files: HDF5 reads what they lack as zeros. Raises SourceError."""
    for name, offset, size in dataset.external:
        wanted = offset + (dataset.nbytes if size == h5s.UNLIMITED else size)
        path = Path(name)
        found = path.stat().st_size if path.is_file() else 0
        if found < wanted:
            raise SourceError(
                f"{label}: its values are in {name}, which has {found} bytes of {wanted}; "
                "restore that file"
            )


def other_files(dataset: h5py.Dataset) -> tuple[Path, ...]:
    """Return the files besides its own that hold a dataset's values, each once."""
    if dataset.is_virtual:
        names = [mapping.file_name for mapping in dataset.virtual_sources()]
        found = [resolved(dataset.file, name) for name in names if name != SAME_FILE]
    else:
        found = [Path(name) for name, _, _ in dataset.external or ()]
    return tuple(dict.fromkeys(found))


def resolved(file: h5py.File, name: str) -> Path:
    """Return where HDF5 looks for the source `name` of a virtual dataset: first beside `file`."""
    folder = Path(file.filename).parent
    candidates = [folder / name, Path(name), folder / Path(name).name]
    return next((path for path in candidates if path.exists()), candidates[0])
