"""The exam's machinery: benchmarks are sat item by item, journalled, scored, and drawn.

benchmark.py   what a benchmark is: items, how each is asked, how it is scored
candidate.py   who sits it: an assistant, asked with what it retrieves, with given references or without any
sitting.py     one benchmark sat to its end, resumable after a kill
results.py     figures with intervals, results.json      tables.py plots.py   Markdown and pictures
compare.py     two results, item by item                  cli.py               `consult eval`
"""
