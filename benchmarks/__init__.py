"""What measures the tables of docs/ and the README. A script runs from the root as ``python -m benchmarks.NAME``.

evidence            all scripts one after the other, and their tables into the pages: ``make evidence``
quality, peers      the defaults beside other methods, and beside other packages; tables by *_report
family, scores      the losses side by side (one fit: family_fits); scores without labels, and settings, from its fits
few_labels          GCAClassifier with few labels, beside what a user would fit to the same rows
series              the default on time series, beside MiniRocket
partly, rows, search, outliers, stability    one question of a guide each
sklearn_checks, peer_traps                   what other estimators do where ours is checked
losses, throughput, micro_batches, threads   time and memory
gpu                 the same on a CUDA device, and where a step waits for it: ``make gpu``; its sections are in _gpu

Shared: ``_jobs`` (a job, its record, the command line), ``_data`` (sets, splits, the probe), ``_statistics`` (paired
tests), ``_printing`` (tables), ``_measuring`` (time, memory, processes), ``_host_reads`` (waits for a device),
``_wheels`` (what to bring to a machine without network). Each job is run once: its record is a line of JSON in --out,
which holds for the same job, versions, defaults of GCAEmbedder and constants of the script. All scripts with jobs take
--data, --seeds, --jobs, --quick (tiny, its figures mean nothing) and --report (run nothing).
"""
