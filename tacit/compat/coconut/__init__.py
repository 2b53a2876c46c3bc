"""The commands `scripts/run.py ARGS.yaml` and `scripts/preprocessing/gsm_icot.bash` of Coconut (Hao et al., arXiv 2412.06769) and
of its single-GPU variant for Qwen models. Keys of both are taken; docs/coconut.md says what each becomes.
"""
