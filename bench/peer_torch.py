#!/usr/bin/env python3
"""The PyTorch peer of the speed benchmark: the suite's networks, step and probe, as fast as PyTorch runs them.

Each command prints one JSON object on one line of standard output and everything else on standard error:

    peer_torch.py step   --net paper|grey|desk [--batch N] [--threads N] [--steps N] [--seconds X] [--settings S]
    peer_torch.py encode | score               the same options: inference of the encoder, of the score network
    peer_torch.py probe  [--threads N] [--epochs N] [--settings S]
    peer_torch.py golden FILE.safetensors...   outputs and gradients against the golden vectors; exit 1 if any is missed
    peer_torch.py best   --bench step|encode|score|probe [--net ..] [--batch N] [--threads N]

S is a list such as channels_last=yes,corename=Haswell. `best` tries the settings one after the other and prints the
fastest combination it met. The networks are in peer_torch_nets.py, the golden comparisons in peer_torch_golden.py.
"""
import argparse
import ctypes
import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the source tree stays as it is

# setting: (values, the default first; the benches it matters to)
SETTINGS = {
    'channels_last': (('no', 'yes'), 'step encode score'),  # memory layout of features, weights
    'score_layout': (('same', 'first'), 'step'),  # that of the score network: channels first in any case
    'jit': (('no', 'freeze', 'optimize'), 'encode score'),  # torch.jit: frozen trace; optimize_for_inference
    'fold': (('yes', 'no'), 'encode score'),  # constants merged into the weights by hand
    'optim': (('flat', 'foreach'), 'step'),  # FlatAdam, or torch.optim.Adam(foreach=True)
    'dropout': (('bits', 'bernoulli'), 'step probe'),  # Masks, or F.dropout
    'rates': (('6', '1'), 'probe'),  # learning rates fitted side by side as one batched model
    'processes': (('1', 'threads'), 'probe'),  # one process of all threads, or one a thread
    'malloc': (('heap', 'huge', 'system'), 'step encode score probe'),  # memory kept; in huge pages; glibc's ways
    'isa': (('default', 'avx512'), 'step encode score probe'),  # PyTorch's own kernels
    'corename': (('auto', 'SkylakeX', 'Haswell'), 'step encode score probe'),  # OpenBLAS's kernels
    'blas_threads': (('all', '1'), 'step encode score probe'),  # beside PyTorch's own threads
    'wait': (('default', 'passive'), 'step encode score probe'),  # how idle OpenMP threads wait
}
# Where another combination than the first values was fastest: what a bench starts from.
BETTER = {'encode': {'channels_last': 'yes'}, 'score': {'channels_last': 'yes', 'jit': 'optimize'},
          'probe': {'processes': 'threads'}}
HEAP = 'glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=68719476736'


def fail(message):
    print(f'peer_torch.py: {message}', file=sys.stderr)
    sys.exit(2)


def parse_settings(text, bench):
    """Every setting of the bench, with those of the list replaced."""
    chosen = {k: values[0] for k, (values, benches) in SETTINGS.items() if bench in benches.split()}
    chosen.update(BETTER.get(bench, {}))
    for item in filter(None, text.split(',')):
        key, _, value = item.partition('=')
        if key not in chosen:
            fail(f"{bench} has no setting '{key}': " + ', '.join(chosen))
        if value not in SETTINGS[key][0]:
            fail(f"{key} is one of {', '.join(SETTINGS[key][0])}, not '{value}'")
        chosen[key] = value
    return chosen


def enter_environment(settings, threads):
    """Starts this program again where libraries read their settings from the environment before Python runs."""
    want = {'OMP_NUM_THREADS': str(threads),
            'OPENBLAS_NUM_THREADS': '1' if settings.get('blas_threads') == '1' else str(threads),
            'OPENBLAS_CORETYPE': {'auto': None}.get(settings['corename'], settings['corename']),
            'ATEN_CPU_CAPABILITY': {'default': None}.get(settings['isa'], settings['isa']),
            'OMP_WAIT_POLICY': {'default': None}.get(settings['wait'], settings['wait']),
            'GLIBC_TUNABLES': {'heap': HEAP, 'huge': HEAP + ':glibc.malloc.hugetlb=1'}.get(settings['malloc'])}
    if all(os.environ.get(k) == v for k, v in want.items()):
        return
    environment = {k: v for k, v in os.environ.items() if k not in want}
    environment.update({k: v for k, v in want.items() if v is not None})
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def import_torch(threads):
    """torch and the networks; not at the top of the file, because the environment comes first."""
    global torch, nets
    import torch
    import peer_torch_nets as nets
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)


def corename():
    """The kernels OpenBLAS chose, or None where PyTorch has another BLAS."""
    try:
        name = ctypes.CDLL('libopenblas.so.0').openblas_get_corename
        name.restype = ctypes.c_char_p
        return name().decode()
    except (OSError, AttributeError):
        return None


def report(bench, args, seconds, settings, images=None, **more):
    """seconds: of every repetition."""
    median = statistics.median(seconds)
    out = {'peer': 'torch', 'bench': bench, 'threads': args.threads, 'seconds': round(median, 7),
           'least_seconds': round(min(seconds), 7)}
    if images:
        out.update(net=args.net, batch=args.batch, images_per_second=round(images / median, 3))
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children) / 1024
    out.update(more, peak_rss_mb=round(peak, 1), settings={
        k: {'yes': True, 'no': False}.get(v, v) for k, v in settings.items()}, torch=torch.__version__)
    out['settings']['corename'] = corename()
    print(json.dumps(out))


def repeat(function, n, least=0.0, warmup=2):
    """Seconds of each of n calls, or more until `least` seconds have passed."""
    for i in range(warmup):
        function(i)
    seconds, begin = [], time.perf_counter()
    while len(seconds) < n or time.perf_counter() - begin < least:
        start = time.perf_counter()
        function(warmup + len(seconds))
        seconds.append(time.perf_counter() - start)
    return seconds


def build(args, settings):
    """Encoder and score network in the layouts asked for, and these."""
    last = settings['channels_last'] == 'yes'
    layouts = [torch.channels_last if yes else torch.contiguous_format
               for yes in (last, last and settings.get('score_layout') != 'first')]
    return *nets.build(args.net, settings.get('dropout') != 'bernoulli', *layouts), layouts


# ---- Training step [sections 9 and 10] -------------------------------------------------------------------------------


class Batches:
    """Batches of images normalised per channel from bytes in memory."""

    def __init__(self, channels, size, batch, images=10000):
        self.pixels = torch.randint(0, 256, (images, channels, size, size), dtype=torch.uint8)
        self.batch = batch
        mean, std = (torch.tensor(v[:channels])[:, None, None] for v in ((.4914, .4822, .4465), (.2470, .2435, .2616)))
        self.scale, self.shift = 1 / (255 * std), -mean / std
        self.order = torch.empty(0, dtype=torch.int64)

    def next(self):
        """Images without replacement within an epoch."""
        if len(self.order) < self.batch:
            self.order = torch.randperm(len(self.pixels))
        index, self.order = self.order[:self.batch], self.order[self.batch:]
        return self.pixels[index].float().mul_(self.scale).add_(self.shift)


def bench_step(args, settings):
    encoder, score, layouts = build(args, settings)
    batches = Batches(nets.NETS[args.net][0], nets.SIZE, args.batch)
    adam = (nets.FlatAdam if settings['optim'] == 'flat' else nets.ForeachAdam)(
        [*encoder.parameters(), *score.parameters()], 1.0)

    def step(n):
        x0 = batches.next()
        noise, t = torch.randn(x0.shape), torch.rand(args.batch) * (1 - 1e-5) + 1e-5
        loss = nets.drl_loss(encoder, score, x0, t, noise, layouts=layouts)[0]
        loss.backward()
        adam.step(*nets.schedule(n))
        return loss.item()

    report('step', args, repeat(step, args.steps, args.seconds), settings, args.batch)


# ---- Inference -------------------------------------------------------------------------------------------------------


def compiled(net, inputs, optimize):
    """The network through torch.jit, if it still computes the same."""
    want = net(*inputs)
    net = torch.jit.freeze(torch.jit.trace(net, inputs, check_trace=False))
    if optimize:
        net = torch.jit.optimize_for_inference(net)
    for _ in range(3):  # the first calls are profiled, then compiled
        error = ((net(*inputs) - want).abs().max() / want.abs().max()).item()
        if not error <= 1e-4:
            print(f'peer_torch.py: torch.jit computes something else: error {error:.1e}', file=sys.stderr)
            sys.exit(1)
    return net


def bench_inference(args, settings):
    """encode: bytes to codes. score: one evaluation at given x_t, sigma and z."""
    encoder, score, layouts = build(args, settings)
    encode = args.command == 'encode'
    net, layout = (encoder, layouts[0]) if encode else (score, layouts[1])
    net.eval()
    if settings['fold'] == 'yes':
        nets.fold(net)
    batches = Batches(nets.NETS[args.net][0], nets.SIZE, args.batch)
    t = torch.rand(args.batch)
    sigma, z = 0.01 * 5000**t, torch.rand(args.batch, encoder.size)
    x, scale = batches.next().contiguous(memory_format=layout), 1 / sigma[:, None, None, None]
    with torch.no_grad():
        if settings['jit'] != 'no':
            net = compiled(net, (x, t) if encode else (x, sigma, z), settings['jit'] == 'optimize')
        with torch.inference_mode():
            if encode:
                def run(_):
                    return net(batches.next().contiguous(memory_format=layout), t)
            else:
                def run(_):
                    return net(x, sigma, z).mul_(scale)
            seconds = repeat(run, args.steps, args.seconds, 3)
    report(args.command, args, seconds, settings, args.batch)


# ---- MLP probe -------------------------------------------------------------------------------------------------------

D, HIDDEN, CLASSES, BATCH, TRAIN, VAL = 128, 512, 10, 256, 45000, 5000
RATES = (1e-3, 7.5e-4, 5e-4, 2.5e-4, 1e-4, 5e-5)


class Probe:
    """The published probe, Linear, ReLU, dropout 0.25, Linear, for several learning rates side by side: every weight
    has the rate as its first dimension, and the fits share codes, order and dropout masks."""

    def __init__(self, rates, bits):
        n = len(rates)
        self.x, self.y = torch.randn(TRAIN + VAL, D), torch.randint(0, CLASSES, (TRAIN + VAL,))
        self.w1, self.b1 = self.uniform(n, D, HIDDEN, fan_in=D), self.uniform(n, 1, HIDDEN, fan_in=D)
        self.w2, self.b2 = self.uniform(n, HIDDEN, CLASSES, fan_in=HIDDEN), self.uniform(n, 1, CLASSES, fan_in=HIDDEN)
        self.masks, self.n = nets.Masks(0.25, bits), n
        # One optimiser a rate would cost n times the calls: the update is made for rate 1 and scaled.
        self.adam = nets.FlatAdam([self.w1, self.b1, self.w2, self.b2], weight_decay=1e-5, average=False)
        self.rate = torch.cat([torch.tensor(rates).repeat_interleave(p.numel() // n) for p in self.adam.params])

    @staticmethod
    def uniform(*shape, fan_in):
        return torch.nn.Parameter((2 * torch.rand(shape) - 1) / fan_in**0.5)

    def logits(self, x, drop):
        """(rates, codes, classes)"""
        if self.n == 1:
            h = torch.addmm(self.b1[0], x, self.w1[0]).relu_()
            return torch.addmm(self.b2[0], self.masks.drop(h) if drop else h, self.w2[0])[None]
        h = torch.baddbmm(self.b1, x.expand(self.n, *x.shape), self.w1).relu_()
        return torch.baddbmm(self.b2, h * self.masks.draw(h[0]) if drop else h, self.w2)

    def epoch(self, _=None):
        """Validation accuracy of each rate after one pass."""
        order = torch.randperm(TRAIN)
        for x, y in zip(self.x[order].split(BATCH), self.y[order].split(BATCH)):
            logits = self.logits(x, True)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.repeat(self.n), reduction='sum') / len(y)
            loss.backward()
            self.adam.step(self.rate)
        with torch.no_grad():
            return (self.logits(self.x[TRAIN:], False).argmax(2) == self.y[TRAIN:]).float().mean(1)


def bench_probe(args, settings):
    if settings['processes'] == 'threads' and args.threads > 1:
        return bench_probe_processes(args, settings)
    rates = RATES[:int(settings['rates'])]
    probe = Probe(rates, settings['dropout'] == 'bits')
    seconds = [s / len(rates) for s in repeat(probe.epoch, args.epochs, 0, 1)]
    report('probe', args, seconds, settings, fit_epochs_per_second=round(1 / statistics.median(seconds), 4))


def bench_probe_processes(args, settings):
    """One process a thread at the same time; their rates add up."""
    command = [sys.executable, __file__, 'probe', '--threads', '1', '--epochs', str(args.epochs), '--settings',
               ','.join(f'{k}={v}' for k, v in settings.items() if k != 'processes')]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(args.threads)]
    outputs = [c.communicate()[0] for c in children]
    if any(c.returncode for c in children):
        sys.exit(1)
    rate = sum(json.loads(o)['fit_epochs_per_second'] for o in outputs)
    report('probe', args, [1 / rate], settings, fit_epochs_per_second=round(rate, 4))


# ---- The best settings -----------------------------------------------------------------------------------------------


def combinations(settings):
    """Settings that depend on each other, which are tried together: the memory layout and what works on it."""
    together = [k for k in ('channels_last', 'score_layout', 'jit') if k in settings]
    for values in itertools.product(*(SETTINGS[k][0] for k in together)):
        chosen = dict(zip(together, values))
        if chosen.get('channels_last') == 'yes' or chosen.get('score_layout') != 'first':
            yield chosen
    for key, (values, _) in SETTINGS.items():
        if key in settings and key not in together:
            yield from ({key: v} for v in values)


def bench_best(args):
    """The combinations of layout and compiler first, then every other setting in turn while the rest stays.

    Times are the least of about a second. The three fastest run twice more at the end, because the machine's noise
    chooses as well. What fails is passed over."""
    fixed, runs = ['--threads', str(args.threads)], {}
    fixed += ['--epochs', '1'] if args.bench == 'probe' else [
        '--steps', str(args.steps), '--seconds', '1', '--net', args.net, '--batch', str(args.batch)]

    def attempt(settings):
        text = ','.join(f'{k}={v}' for k, v in settings.items())
        run = subprocess.run([sys.executable, __file__, args.bench, *fixed, '--settings', text],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if run.returncode == 77:
            sys.exit(77)
        seconds = json.loads(run.stdout)['least_seconds'] if run.returncode == 0 else math.inf
        runs[text] = min(seconds, runs.get(text, math.inf))
        print(f'{text}: ' + (f'{seconds:.5f} s' if run.returncode == 0 else 'failed'), file=sys.stderr, flush=True)
        return runs[text]

    best = parse_settings(args.settings, args.bench)
    least = attempt(best)
    for change in combinations(best):
        settings = {**best, **change}
        if ','.join(f'{k}={v}' for k, v in settings.items()) not in runs and (seconds := attempt(settings)) < least:
            best, least = settings, seconds
    for _ in range(2):
        for text in sorted(runs, key=runs.get)[:3]:
            attempt(parse_settings(text, args.bench))
    text = min(runs, key=runs.get)
    if runs[text] == math.inf:
        sys.exit(1)
    size = {} if args.bench == 'probe' else {'net': args.net, 'batch': args.batch}
    print(json.dumps({'peer': 'torch', 'bench': 'best', 'of': args.bench, **size, 'threads': args.threads,
                      'least_seconds': runs[text], 'settings': text}))


def bench_golden(args):
    import peer_torch_golden
    result = peer_torch_golden.run(args.files)
    print(json.dumps({'peer': 'torch', 'bench': 'golden', **result}))
    sys.exit(1 if result['missed'] or not result['files'] else 0)


def main():
    def positive(text):
        value = int(text)
        if value < 1:
            raise ValueError
        return value

    positive.__name__ = 'positive number'
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest='command', required=True)
    commands.add_parser('golden').add_argument('files', nargs='+')
    for name in 'step', 'encode', 'score', 'probe', 'best':
        p = commands.add_parser(name)
        p.add_argument('--threads', type=positive, default=len(os.sched_getaffinity(0)))
        p.add_argument('--settings', default='')
        if name == 'best':
            p.add_argument('--bench', choices=('step', 'encode', 'score', 'probe'), required=True)
        if name == 'probe':
            p.add_argument('--epochs', type=positive, default=3)
        else:
            p.add_argument('--net', choices=('paper', 'grey', 'desk'), default='paper')
            p.add_argument('--batch', type=positive, default=64)
            p.add_argument('--steps', type=positive, default=3 if name == 'best' else 10)
        if name not in ('probe', 'best'):
            p.add_argument('--seconds', type=float, default=0, help='more steps until so much time has passed')
    args = parser.parse_args()
    if args.command == 'best':
        return bench_best(args)
    threads = len(os.sched_getaffinity(0)) if args.command == 'golden' else args.threads
    settings = parse_settings(getattr(args, 'settings', ''), 'step' if args.command == 'golden' else args.command)
    enter_environment(settings, threads)
    try:
        import_torch(threads)
    except ImportError as e:
        print(f'peer_torch.py: no PyTorch here: {e}', file=sys.stderr)
        sys.exit(77)
    if args.command == 'golden':
        return bench_golden(args)
    {'step': bench_step, 'encode': bench_inference, 'score': bench_inference, 'probe': bench_probe}[args.command](
        args, settings)


if __name__ == '__main__':
    main()
