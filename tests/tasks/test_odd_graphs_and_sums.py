"""Numbers that no graph and no sum can be drawn with are refused where they are set."""

import pytest
from pydantic import ValidationError

from tacit.tasks.arithmetic import Arithmetic
from tacit.tasks.graphs import GraphShape


@pytest.mark.parametrize("fields", [{"parents": 1e9}, {"parents": float("inf")}, {"depth_weight": float("inf")}])
def test_graphs_that_cannot_be_drawn(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        GraphShape(**fields)
    GraphShape(parents=40, depth_weight=1e6)


@pytest.mark.parametrize("shares", [(float("nan"),), (1.0, float("inf")), (1e308, 1e308)])
def test_shares_that_are_no_numbers(shares):
    with pytest.raises(ValidationError, match="must be finite shares"):
        Arithmetic(step_shares=shares)
