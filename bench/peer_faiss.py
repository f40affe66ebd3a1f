#!/usr/bin/env python3
"""The faiss peer of bench_graph: exact neighbours by inner product, IndexFlatIP, on the very same features.

    peer_faiss.py graph --features FILE [--neighbours FILE] [--dim N] [--k N] [--threads N] [--settings S]
    peer_faiss.py best --bench graph, and the same options

FILE as bench_graph --set bench.save=PATH writes them. `graph` searches all rows for k + 1 and takes each row itself out
of its neighbours, which is timed too, and prints one JSON object on standard output; `best` prints the settings that
are fastest on a part of the rows. S is a list such as reservoir=yes,queries=4096,database=1024,corename=SkylakeX.
"""
import argparse
import ctypes
import itertools
import json
import os
import resource
import sys
import time

sys.dont_write_bytecode = True  # the source tree stays as it is

# What faiss lets choose, its own values first: how candidates are kept; rows of the blocks it multiplies.
SETTINGS = {'reservoir': ('no', 'yes'), 'queries': ('4096', '1024', '256'), 'database': ('1024', '4096'),
            'corename': ('SkylakeX', 'Haswell', 'auto')}
PART = 4096  # rows searched for by `best`


def fail(message):
    print(f'peer_faiss.py: {message}', file=sys.stderr)
    sys.exit(2)


def has_avx512():
    try:
        with open('/proc/cpuinfo', encoding='ascii', errors='replace') as f:
            return 'avx512vl' in f.read()
    except OSError:
        return False


def parse_settings(text):
    chosen = {k: v[0] for k, v in SETTINGS.items()}
    if not has_avx512():
        chosen['corename'] = 'auto'
    for item in filter(None, text.split(',')):
        key, _, value = item.partition('=')
        if key not in SETTINGS or value not in SETTINGS[key]:
            fail(f"no setting '{item}': " + '; '.join(f'{k} = {"|".join(v)}' for k, v in SETTINGS.items()))
        chosen[key] = value
    return chosen


def as_text(settings):
    return ','.join(f'{k}={v}' for k, v in settings.items())


def enter_environment(settings, threads):
    """Starts this program again: libraries read these before Python runs."""
    want = {'OMP_NUM_THREADS': str(threads), 'OPENBLAS_NUM_THREADS': str(threads),
            'OPENBLAS_CORETYPE': None if settings['corename'] == 'auto' else settings['corename']}
    if all(os.environ.get(k) == v for k, v in want.items()):
        return
    environment = {k: v for k, v in os.environ.items() if k not in want}
    environment.update({k: v for k, v in want.items() if v is not None})
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def apply(faiss, settings):
    faiss.cvar.distance_compute_min_k_reservoir = 1 if settings['reservoir'] == 'yes' else 1 << 30
    faiss.cvar.distance_compute_blas_query_bs = int(settings['queries'])
    faiss.cvar.distance_compute_blas_database_bs = int(settings['database'])


def kernels():
    library = ctypes.CDLL('libopenblas.so.0')
    library.openblas_get_corename.restype = ctypes.c_char_p
    return library.openblas_get_corename().decode()


def neighbours(np, faiss, x, queries, k):
    """(queries, k) indices; the row itself, or else the last, is left out."""
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(x)
    _, found = index.search(x[:queries], k + 1)
    own = found == np.arange(queries)[:, None]
    own[~own.any(axis=1), k] = True
    return found[~own].reshape(queries, k)


def agreement(np, ours, theirs):
    """Share of our neighbours that faiss found too; rounding may exchange the last ones."""
    n = len(ours)
    key = np.arange(n, dtype=np.int64)[:, None] * n
    return float(np.isin(key + ours, key + theirs).mean())


def best(np, faiss, x, k, settings):
    """Fastest of two turns of all combinations of what can be changed while the program runs."""
    keys = ('reservoir', 'queries', 'database')
    times = {}
    for _ in range(2):
        for values in itertools.product(*(SETTINGS[key] for key in keys)):
            trial = {**settings, **dict(zip(keys, values))}
            apply(faiss, trial)
            start = time.perf_counter()
            neighbours(np, faiss, x, min(PART, len(x)), k)
            took = time.perf_counter() - start
            times[as_text(trial)] = min(took, times.get(as_text(trial), took))
    return min(times, key=times.get)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('command', choices=('graph', 'best'))
    parser.add_argument('--bench', default='graph', choices=('graph',))
    parser.add_argument('--features', required=True)
    parser.add_argument('--neighbours', default='')
    parser.add_argument('--dim', type=int, default=128)
    parser.add_argument('--k', type=int, default=50)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--settings', default='')
    args = parser.parse_args()
    settings = parse_settings(args.settings)
    enter_environment(settings, args.threads)
    import numpy as np
    import faiss
    faiss.omp_set_num_threads(args.threads)
    x = np.fromfile(args.features, dtype=np.float32).reshape(-1, args.dim)
    if args.command == 'best':
        print(json.dumps({'settings': best(np, faiss, x, args.k, settings)}))
        return
    apply(faiss, settings)
    start, cpu = time.perf_counter(), time.process_time()
    found = neighbours(np, faiss, x, len(x), args.k)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shared = None
    if args.neighbours:
        ours = np.fromfile(args.neighbours, dtype=np.uint32).reshape(-1, args.k).astype(np.int64)
        shared = round(agreement(np, ours, found), 7)
    print(json.dumps({'bench': 'graph', 'rows': len(x), 'threads': args.threads, 'seconds': round(seconds, 6),
                      'cpu_seconds': round(cpu, 6), 'peak_rss_mb': round(rss, 1), 'agreement': shared,
                      'faiss': faiss.__version__, 'settings': as_text(settings), 'corename': kernels()}))


if __name__ == '__main__':
    main()
