"""The commands `src/train.py` and `src/generate.py` of stepwise internalization (Deng et al., arXiv 2405.14838) and of the study
of filler tokens that grew out of it. Options of both are taken, in any mixture; docs/internalization.md says what each becomes.
"""
