"""The short runs by which a build of the recurrent laboratory is checked, and the plain model that all is compared with."""

from tacit.study.claim import Arm, Scale
from tacit.study.claims.quiet_common import THINKS, finding
from tacit.study.gaps import Gap, Gaps, Level, Near

FIVE = (0, 1, 2, 3, 4)
SHORT = finding(
    "short",
    "as the published code chose and compared thoughts: two of them through an mlp head collapse to one token within 50 steps "
    "(entropy below .05) and stay there, used by less than .01 nats at step 200; two through a linear head are slow to start "
    "(entropy above 3.9 at step 125); ten of them are in use by step 125 to 200 (entropy below 3.9 and then below 3.5, used by "
    ".01 nats or more) and worth .02 more",
    Gaps(
        (
            Gap("linear, two", "linear, ten", least=0.02),
            Gap("mlp, two", "linear, ten", least=0.02),
            Gap("plain", "mlp, two", most=0.09),
        ),
        (
            Level("mlp, two: entropy at 50", most=0.05),
            Level("mlp, two: entropy at 200", most=0.05),
            Level("mlp, two: used", most=0.01),
            Level("linear, two: entropy at 125", least=3.9),
            Level("linear, ten: entropy at 125", most=3.9),
            Level("linear, ten: entropy at 200", most=3.5),
            Level("linear, ten: used", least=0.01),
        ),
    ),
    {
        "mlp, two": Arm("quiet/short-mlp"),
        "linear, two": Arm("quiet/short-two"),
        "linear, ten": Arm("quiet/short-ten"),
        "plain": Arm("quiet/short-two", {THINKS: False}),
    },
    cpu=Scale(seeds=(1, 2, 3)),
    gpu=Scale(seeds=FIVE),
    listed=("null_nll", "swapped_nll", "used"),
    traced={f"entropy at {step}": ("entropy", step) for step in (50, 125, 200)},
)
G32 = finding(
    "g32",
    "a plain recurrent model of 32 comes to 1.8733 nats a character in 2,750 steps, within two standard deviations (.005, from "
    "the published interval of ten seeds)",
    Near({"plain": 1.8733}, 0.005),
    {"plain": Arm("quiet/g32")},
    cpu=Scale({"eval.every": 500}, seeds=FIVE),
    gpu=Scale(seeds=FIVE),
)
