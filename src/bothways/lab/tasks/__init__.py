"""Tasks whose right answers are known exactly, made as they are asked for.

Each sample is a function of its arguments, a seed and a step among them: no data is kept, and none
is seen twice but by chance. Answers are lists of symbols; `examples` says what tasks give.
"""
