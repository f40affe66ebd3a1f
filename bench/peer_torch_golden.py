"""Holds the networks of peer_torch_nets.py to the golden vectors: outputs, gradients, running statistics, optimiser.

The measure is max|a - b| / max|b| a tensor in float32, limit 3e-5; where the golden gradient is zero in exact
arithmetic, |a| <= 1e-5 of the largest gradient of the group. Comparisons are written so that NaN misses.
"""
import json
import math
import os
import re
import sys

import numpy as np
import torch

import peer_torch_nets as nets

LIMIT, ZERO_LIMIT = 3e-5, 1e-5


def read_safetensors(path):
    """{name: tensor}: 8 bytes of header length, a JSON header, the data."""
    with open(path, 'rb') as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), 'little')))
        data = f.read()
    kinds = {'F32': '<f4', 'I32': '<i4'}
    return {name: torch.from_numpy(np.frombuffer(data[slice(*e['data_offsets'])], kinds[e['dtype']]).copy()
                                   .reshape(e['shape'])) for name, e in header.items() if name != '__metadata__'}


class Comparison:
    """Counts what was compared and missed in one file."""

    def __init__(self, path):
        self.tensors, self.name = read_safetensors(path), os.path.basename(path)
        self.compared = self.missed = 0
        self.worst = 0.0

    def __getitem__(self, name):
        return self.tensors[name].clone()

    def group(self, prefix):
        return {n[len(prefix):]: t for n, t in self.tensors.items() if n.startswith(prefix)}

    def check(self, name, ours, largest=None, step=None):
        """largest: of the gradients of the group, where exact zeros follow the other rule. step: row of the tensor."""
        want, ours = self.tensors[name] if step is None else self.tensors[name][step], ours.detach()
        scale, limit = want.abs().max().item(), LIMIT
        if largest is not None and scale == 0:
            scale, limit = largest, ZERO_LIMIT
        difference = (ours.double() - want.double()).abs().max().item() if ours.shape == want.shape else math.nan
        error = difference / scale if scale > 0 else difference
        self.compared += 1
        if not error <= limit:
            self.missed += 1
            print(f'{self.name}: MISS {name}: error {error:.2e}, limit {limit:.0e}', file=sys.stderr)
        if limit == LIMIT:
            self.worst = max(self.worst, error) if error == error else math.inf

    def check_gradients(self, prefix, gradients):
        wanted = self.group(prefix)
        largest = max((t.abs().max().item() for t in wanted.values()), default=0.0)
        for name in wanted:
            self.check(prefix + name, gradients[name], largest)


# ---- Networks read off the parameters --------------------------------------------------------------------------------


def count(params, pattern):
    return len({m.group(1) for m in (re.match(pattern, n) for n in params) if m})


def load(module, params, prefix):
    """Strict: every parameter of the module is in the file."""
    module.load_state_dict({n[len(prefix):]: t.clone() for n, t in params.items() if n.startswith(prefix)})
    return module.train()


def make_encoder(params, spare=False):
    """spare: the file's encoder.latent belongs to another method."""
    params = {n: t for n, t in params.items() if n.startswith('encoder.') and not (spare and '.latent.' in n)}
    width = params['encoder.stage3.block0.conv2.weight'].shape[0] / 64
    depth = 6 * count(params, r'encoder\.stage1\.(block\d+)') + 4
    channels = params['encoder.stem.weight'].shape[1]
    encoder = nets.Encoder(channels, depth, width, 'encoder.latent.weight' in params)
    return load(encoder, params, 'encoder.')


def make_score(params, size):
    params = {n: t for n, t in params.items() if n.startswith('score.')}
    nf, channels = params['score.conv_in.weight'].shape[:2]
    levels, blocks = count(params, r'score\.(down\d+)\.block'), count(params, r'score\.down0\.(block\d+)')
    mult = [params[f'score.down{L}.block0.conv2.weight'].shape[0] // nf for L in range(levels)]
    at = [size >> L for L in range(levels) if f'score.down{L}.attn0.q.weight' in params]
    latent = params['score.z_temb.weight'].shape[1] if 'score.z_temb.weight' in params else 0
    return load(nets.Score(channels, size, nf, mult, blocks, at[0] if at else 0, latent, 0.0), params, 'score.')


def gradients(**modules):
    return {f'{prefix}.{n}': p.grad for prefix, m in modules.items() for n, p in m.named_parameters()}


# ---- Files -----------------------------------------------------------------------------------------------------------


LAYOUTS = torch.contiguous_format, torch.channels_last  # the two the benchmark chooses from


def check_encoder(c):
    params = c.group('param/')
    for layout in LAYOUTS:
        x0, encoder = c['in/x0'].contiguous(memory_format=layout), make_encoder(params).to(memory_format=layout)
        if 'eval/latent' in c.tensors:
            c.check('eval/latent', encoder.eval()(x0, c['in/t']))
            c.check('eval/latent', nets.fold(make_encoder(params).eval())(x0, c['in/t']))
        x0.requires_grad_()
        latent = encoder.train()(x0, c['in/t'])
        c.check('out/latent', latent)
        (latent * c['in/G']).sum().backward()
        c.check_gradients('grad/', {'x0': x0.grad, **gradients(encoder=encoder)})
        for name in c.group('after/encoder.'):
            c.check('after/encoder.' + name, dict(encoder.named_buffers())[name])


def check_score(c):
    params, G = c.group('param/'), c['in/G']
    for layout in LAYOUTS:
        xt, score = c['in/xt'].contiguous(memory_format=layout), make_score(params, G.shape[2]).to(memory_format=layout)
        z = c['in/z'].requires_grad_() if 'in/z' in c.tensors else None
        raw = score(xt.requires_grad_(), c['in/sigma'], z)
        c.check('out/raw', raw)
        out = raw / c['in/sigma'].view(-1, 1, 1, 1)
        c.check('out/score', out)
        (out * G).sum().backward()
        c.check_gradients('grad/', {'xt': xt.grad, **({} if z is None else {'z': z.grad}), **gradients(score=score)})
        c.check('out/raw', nets.fold(score.eval())(xt, c['in/sigma'], z))


def check_loss(c):
    """The deterministic encoder's groups KIND/drl and KIND/drl_lambda0.1; the peer has no other method."""
    params, inputs = c.group('param/'), [c['in/' + n] for n in ('x0', 't', 'noise')]
    for name in [n for n in c.tensors if re.fullmatch(r'(ve|vp|subvp)/drl(_lambda[\d.]+)?/loss', n)]:
        kind, mode, _ = name.split('/')
        prefix, lambda_z = f'{kind}/{mode}/', float(mode[len('drl_lambda'):] or nets.LAMBDA_Z)
        encoder, score = make_encoder(params, spare=True), make_score(params, inputs[0].shape[2])
        names = 'loss', 'score', 'z', 'match', 'penalty'
        values = dict(zip(names, nets.drl_loss(encoder, score, *inputs, kind, lambda_z)))
        for n in names:
            if prefix + n in c.tensors:
                c.check(prefix + n, values[n].view(-1) if n == 'loss' else values[n])
        values['loss'].backward()
        c.check_gradients(prefix + 'grad/', gradients(encoder=encoder, score=score))
        if prefix + 'loss_eval' in c.tensors:
            encoder = make_encoder(params, spare=True).eval()
            c.check(prefix + 'loss_eval', nets.drl_loss(encoder, score, *inputs, kind, lambda_z)[0].view(-1))


def check_optim(c):
    for case in [n[:-len('/ema_decay')] for n in c.tensors if n.startswith('adam') and n.endswith('/ema_decay')]:
        get = lambda n: c[f'{case}/{n}']  # noqa: E731
        params = [torch.nn.Parameter(get(f'p{i}_start')) for i in (0, 1)]
        clip = get('clip').item()
        adam = nets.FlatAdam(params, None if clip < 0 else clip, get('weight_decay').item())
        for step in range(5):
            for i, p in enumerate(params):
                p.grad = get(f'p{i}_grad')[step]
            norm = adam.step(get('lr')[step].item(), get('ema_decay')[step].item())
            if norm is not None:
                c.check(f'{case}/norm', torch.tensor(norm), step=step)
            at = 0
            for i, p in enumerate(params):
                for n, flat in ('after', adam.value), ('m', adam.m), ('v', adam.v), ('ema', adam.ema):
                    c.check(f'{case}/p{i}_{n}', flat[at:at + p.numel()].view(p.shape), step=step)
                at += p.numel()


CHECKS = {'encoder': check_encoder, 'score': check_score, 'loss': check_loss, 'optim': check_optim}


def run(paths):
    """{files, missed, worst} over the files; those the peer has nothing to hold against are named and left out."""
    files = missed = compared = 0
    worst = 0.0
    for path in paths:
        check = CHECKS.get(re.split(r'[_.]', os.path.basename(path))[0])
        if not check or not os.path.exists(path):
            why = 'there is no such file' if check else 'the peer has no such part'
            print(f'{path}: skipped: {why}', file=sys.stderr)
            continue
        c = Comparison(path)
        check(c)
        print(f'{c.name}: {c.compared} comparisons, worst error {c.worst:.1e}, {c.missed} missed', file=sys.stderr)
        files, compared, missed, worst = files + 1, compared + c.compared, missed + c.missed, max(worst, c.worst)
        if c.compared == 0:
            missed += 1
    return {'files': files, 'compared': compared, 'missed': missed, 'worst': worst}
