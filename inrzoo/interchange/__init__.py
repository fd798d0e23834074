"""Exports stores to other formats and imports them: folders with one `.pth` per INR, as public weight-space code reads
them, Parquet, and safetensors.

`export_state_dicts` writes such a folder from a store, `import_state_dicts` reads one into a store. Three conventions:

* `dws`: DWSNets and neural-graphs. A folder for each signal,
  `NAME_png_training_LABEL_NUMBER/checkpoints/model_final.pth`, and a JSON of splits with paths relative to its own
  folder.
* `nfn`: neural functionals. A folder for each class, `randinit_smaller_LABELs/netNUMBER.pth`, further fits of the same
  signals in `randinit_smaller_augCOPY_LABELs`.
* `sitzmann`: the key names of vsitzmann/siren, in the folders of `dws`: its own runs are
  `NAME/checkpoints/model_final.pth`.

`import_inrs` recognises these and other public sets: fit-a-nef and Neural Field Arena (`export_fit_a_nef` writes them),
Implicit-Zoo, inr2vec, functa, and plain folders with a description of the user's own.

An exported folder contains two more files: the splits, in any convention, and `inrzoo.json` with the metadata that the
public layouts lack.
"""

from typing import TYPE_CHECKING, Any

from inrzoo.interchange.export import export_state_dicts
from inrzoo.interchange.fit_a_nef_export import export_fit_a_nef
from inrzoo.interchange.ingest import import_inrs, import_state_dicts
from inrzoo.interchange.safetensors import export_safetensors

if TYPE_CHECKING:
    from inrzoo.interchange.parquet import export_parquet

__all__ = [
    "export_fit_a_nef",
    "export_parquet",
    "export_safetensors",
    "export_state_dicts",
    "import_inrs",
    "import_state_dicts",
]


def __getattr__(name: str) -> Any:
    """Import what needs pyarrow at its first use (PEP 562)."""
    if name == "export_parquet":
        from inrzoo.interchange.parquet import export_parquet

        return export_parquet
    raise AttributeError(f"module 'inrzoo.interchange' has no attribute {name!r}")
