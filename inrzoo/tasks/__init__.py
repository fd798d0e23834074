"""Training and evaluation: a store or a dataset comes in, a run folder or measurements go out; one file a task.

A task is a frozen dataclass: its fields are its configuration, the options of `inrzoo train TASK`, and the table in a
checkpoint. `training/` runs, interrupts, continues and stops every task in the same way; `reporting/` writes tables and
figures. A task is given the path or URL of a store and knows nothing of how the store was made.
"""

from inrzoo.tasks.contract import Data, Device, Learner, Task, UnfittedDataset
from inrzoo.tasks.evaluation import evaluate, measure
from inrzoo.tasks.measurements import Measurement, over_runs, paired_difference
from inrzoo.tasks.reporting.cost import read_cost as cost
from inrzoo.tasks.reporting.embedding import features
from inrzoo.tasks.reporting.feature_plot import draw_features
from inrzoo.tasks.reporting.figures import draw_lines
from inrzoo.tasks.reporting.tables import Comparison, write_section
from inrzoo.tasks.trained_encoders import TrainedEncoder
from inrzoo.tasks.training.loop import Trained, recorded_store, train

__all__ = [
    "Comparison",
    "Data",
    "Device",
    "Learner",
    "Measurement",
    "Task",
    "Trained",
    "TrainedEncoder",
    "UnfittedDataset",
    "cost",
    "draw_features",
    "draw_lines",
    "evaluate",
    "features",
    "measure",
    "over_runs",
    "paired_difference",
    "recorded_store",
    "train",
    "write_section",
]
