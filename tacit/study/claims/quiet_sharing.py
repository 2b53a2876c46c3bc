"""Findings 4 to 10, 18 and 19: one network for several roles, and heads."""

from tacit.study.claim import Arm, Scale
from tacit.study.claims.quiet_common import (
    BASE,
    CHOOSER,
    GL,
    GROUPS,
    HEAD,
    IG,
    JOIN,
    LINEAR,
    POLICY,
    QG,
    RI,
    TEN,
    UNREAD,
    WIDTH,
    finding,
    in_both,
    legacy,
)
from tacit.study.gaps import Gap, Gaps

THREE = (7, 8, 9)
WIDTHS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
THINKS = {f"thinks {width}": Arm(QG, {BASE: width}) for width in (*WIDTHS, 2048)}
UNREAD_THINKS = legacy(THINKS, UNREAD)
F4 = finding(
    4,
    "one network that plays all roles is worse with thoughts than without: by .5 nats at a width of 8, .2 at 16, .1 at 32, .05 "
    "at 64 and .03 at 128; level within .02 at 256 and 512; and .05 better at 1,024, where it learns its text by heart. So it "
    "was with thoughts whose last token is not read, and so it is with all of them read",
    Gaps(
        in_both(
            (
                Gap("thinks 8", "reads 8", least=0.5),
                Gap("thinks 16", "reads 16", least=0.2),
                Gap("thinks 32", "reads 32", least=0.1),
                Gap("thinks 64", "reads 64", least=0.05),
                Gap("thinks 128", "reads 128", least=0.03),
                Gap("thinks 256", "reads 256", most=0.02),
                Gap("thinks 512", "reads 512", most=0.02),
                Gap("reads 1024", "thinks 1024", least=0.05),
            ),
            UNREAD_THINKS,
        )
    ),
    THINKS | UNREAD_THINKS | {f"reads {width}": Arm(GL, {BASE: width}) for width in (*WIDTHS, 2048)},
    gpu=Scale(seeds=(7, 8)),
)
POLICIES = (1, 10, 100, 1000, 10_000)
F5 = finding(
    5,
    "a policy loss of ten times the weight and more gains nothing in one network, whether thoughts are gone on from or read "
    "afresh",
    Gaps(
        tuple(
            Gap(f"{way} {policy}", f"{way} 1", least=0.0)
            for way in ("onward", "afresh")
            for policy in POLICIES
            if policy > 1
        )
    ),
    {
        f"{way} {policy}": Arm(QG, {"model.tiny.roles.interpreter": way, POLICY: policy})
        for way in ("onward", "afresh")
        for policy in POLICIES
    },
    gpu=Scale(seeds=THREE),
)
F6 = finding(
    6,
    "with a sum of both states before the head thoughts still help: a base model of 32 by .02 nats, one of 64 by anything",
    Gaps((Gap("without 32", "with 32", least=0.02), Gap("without 64", "with 64", least=0.0))),
    {f"with {base}": Arm(RI, {BASE: base, WIDTH: 100, JOIN: "add", **LINEAR}) for base in (32, 64)}
    | {f"without {base}": Arm(IG, {BASE: base}) for base in (32, 64, 100)},
    gpu=Scale(seeds=THREE),
)
SHARED = {JOIN: "add", CHOOSER: "shared", WIDTH: None}
DIMS = (32, 64, 100)
F7 = finding(
    7,
    "one network for all roles with one head neither gains nor loses by thoughts: within .01 at 32, 64 and 100",
    Gaps(
        tuple(
            Gap(worse, better, most=0.01)
            for width in DIMS
            for worse, better in ((f"without {width}", f"with {width}"), (f"with {width}", f"without {width}"))
        )
    ),
    {f"with {width}": Arm(RI, {**SHARED, BASE: width, GROUPS: "AAAA"}) for width in DIMS}
    | {f"without {width}": Arm(IG, {BASE: width}) for width in DIMS},
    gpu=Scale(seeds=THREE),
)
FIFTEEN = (
    "AAAA",
    "AAAB",
    "AABA",
    "ABAA",
    "BAAA",
    "AABB",
    "ABAB",
    "ABBA",
    "AABC",
    "ABAC",
    "ABCA",
    "BAAC",
    "BACA",
    "BCAA",
    "ABCD",
)
F8 = finding(
    8,
    "of the fifteen sharings at a width of 32, four networks are best, by .02 nats over one, and one is level with the plain "
    "model within .02",
    Gaps(
        (
            Gap("AAAA 32", "ABCD 32", least=0.02),
            Gap("plain 32", "AAAA 32", most=0.02),
            Gap("plain 32", "AAAA 32", least=0.0),
            *(Gap(f"{groups} 32", "ABCD 32", least=0.0) for groups in FIFTEEN if groups not in ("AAAA", "ABCD")),
        )
    ),
    {f"{groups} {width}": Arm(RI, {**SHARED, BASE: width, GROUPS: groups}) for width in DIMS for groups in FIFTEEN}
    | {f"plain {width}": Arm(GL, {BASE: width}) for width in DIMS},
    gpu=Scale(seeds=THREE),
)
F9 = finding(
    9,
    "learning to think matters where interpreter and reasoner are networks of their own: with four networks it is .04 nats "
    "better than the plain model and .03 better than untaught thoughts, with ABAC .01 better than these, with AABC and AAAB "
    "better by no more than .02 and .01, and with one network by no more than .005; untaught or mistaught thoughts are "
    "better than no thoughts",
    Gaps(
        (
            Gap("ABCD 0", "ABCD 1", least=0.03),
            Gap("plain", "ABCD 1", least=0.04),
            Gap("ABAC 0", "ABAC 1", least=0.01),
            Gap("AABC 0", "AABC 1", most=0.02),
            Gap("AAAB 0", "AAAB 1", most=0.01),
            Gap("AAAA 0", "AAAA 1", most=0.005),
            Gap("plain", "ABCD 0", least=0.0),
            Gap("plain", "ABCD -1", least=0.0),
        )
    ),
    {
        f"{groups} {policy}": Arm(RI, {**SHARED, BASE: 32, GROUPS: groups, POLICY: policy})
        for groups in ("AAAA", "AAAB", "AABC", "ABAC", "ABCD")
        for policy in (-1, 0, 1)
    }
    | {"plain": Arm(IG, {BASE: 32})},
)
MLP_SHARED = {JOIN: "add", CHOOSER: "shared", BASE: 32, HEAD: "mlp"}
F10 = finding(
    10,
    "an mlp head is worth .2 nats to a plain model of 32 and to one with thoughts; so the difference of two earlier results was "
    "the head's",
    Gaps(
        (Gap("linear", "mlp", least=0.2), Gap("linear", "as wide, 1", least=0.2), Gap("linear", "of 100, 1", least=0.2))
    ),
    {"linear": Arm(GL, {BASE: 32}), "mlp": Arm(GL, {BASE: 32, HEAD: "mlp"})}
    | {f"as wide, {policy}": Arm(RI, {**MLP_SHARED, WIDTH: None, POLICY: policy}) for policy in (0, 1)}
    | {f"of 100, {policy}": Arm(RI, {**MLP_SHARED, WIDTH: 100, POLICY: policy}) for policy in (0, 1)},
)
EIGHT = ("AAAA", "AAAB", "AABA", "ABAA", "BAAA", "ABAC", "AABC", "ABCD")
SEPARATE, SEPARATE_PLAIN = "quiet/separate", "quiet/separate-plain"


def equal(width: int) -> tuple[Gap, ...]:
    """One network and four are level, and both better than the plain model."""
    one, four, plain = (f"{name} {width}" for name in ("AAAA", "ABCD", "plain"))
    return (
        Gap(one, four, most=0.01),
        Gap(four, one, most=0.01),
        Gap(plain, one, least=0.0),
        Gap(plain, four, least=0.0),
    )


F18 = finding(
    18,
    "on web text seen once, one network and four are within .01 of each other at equal widths, and both better than the plain "
    "model",
    Gaps((*equal(128), *equal(256), *equal(512))),
    {f"{groups} {width}": Arm(SEPARATE, {GROUPS: groups, BASE: width}) for width in (128, 256, 512) for groups in EIGHT}
    | {"ABCD 512, untaught": Arm(SEPARATE, {BASE: 512, POLICY: 0.0})}
    | {f"plain {width}": Arm(SEPARATE_PLAIN, {BASE: width}) for width in (128, 256, 512)},
)
AGAIN = {"train.limit": 12_800}
"""The same hundred batches, 27 times."""
F19 = finding(
    19,
    "with 100 batches of it again and again the same: whether repeating a text is what makes thoughts useful",
    Gaps(equal(128)),
    {f"{groups} 128": Arm(SEPARATE, {GROUPS: groups, **AGAIN}) for groups in ("AAAA", "ABCD")}
    | {"plain 128": Arm(SEPARATE_PLAIN, AGAIN)},
    gpu=Scale(seeds=TEN),
)
