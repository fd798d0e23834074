"""To and from other people's formats: the one-`.pth`-per-INR folders that public weight-space code reads, Parquet,
safetensors.

`export_state_dicts` writes such a folder from a store, `import_state_dicts` makes a store of one. Three conventions:

* `dws`: DWSNets and neural-graphs. One folder a signal, `NAME_png_training_LABEL_NUMBER/checkpoints/model_final.pth`,
  and a JSON of splits with paths relative to its own folder.
* `nfn`: neural functionals. One folder a class, `randinit_smaller_LABELs/netNUMBER.pth`, further fits of the same
  signals in `randinit_smaller_augCOPY_LABELs`.
* `sitzmann`: the key names of vsitzmann/siren, in the folders of `dws`: its own runs are
  `NAME/checkpoints/model_final.pth`.

An exported folder holds two files more: the splits, whatever the convention, and `inrzoo.json` with what the public
layouts have no place for.

`export_parquet` and `export_safetensors` write what `datasets` and everyone else reads; see there.
"""

from inrzoo.interchange.export import export_state_dicts
from inrzoo.interchange.ingest import import_state_dicts
from inrzoo.interchange.parquet import export_parquet
from inrzoo.interchange.safetensors import export_safetensors

__all__ = ["export_parquet", "export_safetensors", "export_state_dicts", "import_state_dicts"]
