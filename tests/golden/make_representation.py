"""Writes decoder_small.safetensors and layers_representation.safetensors beside itself.

An implementation of its own, in PyTorch and double precision, of the decoder, the heads and the losses that the other
representation learners need. Inputs and parameters are drawn, rounded to float32 and used as rounded; results are
computed in double, gradients by autograd, and rounded once. The committed files were made by PyTorch 1.13. Nothing in
the build runs this.
"""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))


def write(path, tensors):
    """tensors {name: array}: 8 bytes of header length, a JSON header, the data."""
    header, data, at = {}, [], 0
    for name, t in tensors.items():
        a = np.ascontiguousarray(t.detach().numpy() if torch.is_tensor(t) else np.asarray(t), dtype='<f4')
        header[name] = {'dtype': 'F32', 'shape': list(a.shape), 'data_offsets': [at, at + a.nbytes]}
        data.append(a.tobytes())
        at += a.nbytes
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(len(text).to_bytes(8, 'little') + text + b''.join(data))


class Draws:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape, scale=1.0, mean=0.0):
        a = (self.rng.standard_normal(shape) * scale + mean).astype(np.float32).astype(np.float64)
        return torch.from_numpy(a).requires_grad_()

    def linear(self, params, name, n_in, n_out):
        params[name + '.weight'] = self.normal(n_out, n_in, scale=n_in ** -0.5)
        params[name + '.bias'] = self.normal(n_out, scale=0.3)

    def conv(self, params, name, n_in, n_out, k):
        params[name + '.weight'] = self.normal(n_out, n_in, k, k, scale=(n_in * k * k) ** -0.5)
        params[name + '.bias'] = self.normal(n_out, scale=0.3)

    def norm(self, params, name, n):
        params[name + '.weight'] = self.normal(n, scale=0.3, mean=1.0)
        params[name + '.bias'] = self.normal(n, scale=0.3)


def gradient(t):
    """What is zero in exact arithmetic is written as zero."""
    g = t.grad
    return torch.zeros_like(g) if g.abs().max() < 1e-12 else g


# ---- Decoder ---------------------------------------------------------------------------------------------------------


def decoder(p, z, side, widths):
    def linear(name, x):
        return x @ p[name + '.weight'].T + p[name + '.bias']

    def conv(name, x):
        w = p[name + '.weight']
        return F.conv2d(x, w, p[name + '.bias'], padding=w.shape[2] // 2)

    def norm(name, x):
        groups = min(max(x.shape[1] // 4, 1), 32)
        return F.group_norm(x, groups, p[name + '.weight'], p[name + '.bias'], 1e-6)

    def grow(x):
        return F.interpolate(x, scale_factor=2, mode='nearest')

    acts = {}
    h = linear('decoder.lin2', F.silu(linear('decoder.lin1', z)))
    h = h.view(len(z), widths[0], side, side)
    for i in range(len(widths) - 1):
        name = f'decoder.up{i}'
        r = conv(name + '.conv1', grow(F.silu(norm(name + '.norm1', h))))
        r = conv(name + '.conv2', F.silu(norm(name + '.norm2', r)))
        h = (conv(name + '.skip', grow(h)) + r) / 2 ** 0.5
        acts[name] = h
    return conv('decoder.conv_out', F.silu(norm('decoder.norm_out', h))), acts


def make_decoder():
    draw, p, width, d, n, channels = Draws(1), {}, 4, 5, 3, 3
    widths = [4 * width, 2 * width, width]  # side 4, 8, 16
    draw.linear(p, 'decoder.lin1', d, 8 * width)
    draw.linear(p, 'decoder.lin2', 8 * width, 4 * 4 * widths[0])
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        name = f'decoder.up{i}'
        draw.norm(p, name + '.norm1', a)
        draw.conv(p, name + '.conv1', a, b, 3)
        draw.norm(p, name + '.norm2', b)
        draw.conv(p, name + '.conv2', b, b, 3)
        draw.conv(p, name + '.skip', a, b, 1)
    draw.norm(p, 'decoder.norm_out', width)
    draw.conv(p, 'decoder.conv_out', width, channels, 3)
    z, G = draw.normal(n, d), draw.normal(n, channels, 16, 16)
    image, acts = decoder(p, z, 4, widths)
    (image * G).sum().backward()
    out = {'in/z': z, 'in/G': G, 'out/image': image, 'grad/z': gradient(z)}
    out.update({'act/' + k: v for k, v in acts.items()})
    for k, v in p.items():
        out['param/' + k], out['grad/' + k] = v, gradient(v)
    write(os.path.join(HERE, 'decoder_small.safetensors'), out)


# ---- Layers ----------------------------------------------------------------------------------------------------------


def squared_error(out, case, draw, *shape):
    x, target = draw.normal(*shape), draw.normal(*shape)
    y = ((x - target) ** 2).flatten(1).sum(1, keepdim=True) / 2
    y.mean().backward()
    out.update({f'{case}/x': x, f'{case}/target': target, f'{case}/y': y, f'{case}/loss': y.mean().view(1),
                f'{case}/grad_x': gradient(x)})


def cosine_loss(out, case, draw, n, d):
    x, target = draw.normal(n, d), draw.normal(n, d)
    y = ((F.normalize(x, dim=1) - F.normalize(target, dim=1).detach()) ** 2).sum(1, keepdim=True)
    y.mean().backward()
    out.update({f'{case}/x': x, f'{case}/target': target, f'{case}/y': y, f'{case}/loss': y.mean().view(1),
                f'{case}/grad_x': gradient(x)})


def vicreg(out, case, draw, n, d, invariance, variance, covariance, scale):
    """The loss as its authors' code writes it."""
    x, y = draw.normal(n, d, scale=scale), draw.normal(n, d, mean=0.5)
    repr_loss = F.mse_loss(x, y)
    a, b = x - x.mean(dim=0), y - y.mean(dim=0)
    std_x, std_y = torch.sqrt(a.var(dim=0) + 0.0001), torch.sqrt(b.var(dim=0) + 0.0001)
    std_loss = torch.mean(F.relu(1 - std_x)) / 2 + torch.mean(F.relu(1 - std_y)) / 2
    off = ~torch.eye(d, dtype=torch.bool)
    cov_loss = sum(((c.T @ c) / (n - 1))[off].pow(2).sum() / d for c in (a, b))
    loss = invariance * repr_loss + variance * std_loss + covariance * cov_loss
    loss.backward()
    out.update({f'{case}/z1': x, f'{case}/z2': y, f'{case}/loss': loss.view(1), f'{case}/grad_z1': gradient(x),
                f'{case}/grad_z2': gradient(y), f'{case}/invariance': [invariance], f'{case}/variance': [variance],
                f'{case}/covariance': [covariance]})


def mlp_head(out, case, draw, n, d, hidden, channels):
    """Training by batch statistics where the case says `norm`, by the running ones where it also says `eval`."""
    p, x, G = {}, draw.normal(n, d), draw.normal(n, channels)
    draw.linear(p, 'lin1', d, hidden)
    draw.linear(p, 'lin2', hidden, channels)
    h = x @ p['lin1.weight'].T + p['lin1.bias']
    if 'norm' in case:
        draw.norm(p, 'bn', hidden)
        with torch.no_grad():
            mean, var = draw.normal(hidden, scale=0.3), draw.normal(hidden, scale=0.1, mean=1.0)
        mean, var = mean.detach().clone(), var.detach().clone()
        out[f'{case}/bn.running_mean'], out[f'{case}/bn.running_var'] = mean.clone(), var.clone()
        h = F.batch_norm(h, mean, var, p['bn.weight'], p['bn.bias'], 'eval' not in case, 0.1, 1e-5)
        out[f'{case}/after_bn.running_mean'], out[f'{case}/after_bn.running_var'] = mean, var
    y = torch.relu(h) @ p['lin2.weight'].T + p['lin2.bias']
    (y * G).sum().backward()
    out.update({f'{case}/x': x, f'{case}/grad_y': G, f'{case}/y': y, f'{case}/grad_x': gradient(x)})
    for k, v in p.items():
        out[f'{case}/{k}'], out[f'{case}/grad_{k}'] = v, gradient(v)


def make_layers():
    draw, out = Draws(2), {}
    squared_error(out, 'squared_error', draw, 5, 3, 4, 6)
    squared_error(out, 'squared_error_vector', draw, 3, 17)
    mlp_head(out, 'mlp_head', draw, 5, 6, 7, 3)
    mlp_head(out, 'mlp_head_norm', draw, 6, 5, 17, 4)
    mlp_head(out, 'mlp_head_norm_eval', draw, 3, 4, 9, 2)
    cosine_loss(out, 'cosine_loss', draw, 5, 7)
    cosine_loss(out, 'cosine_loss_long', draw, 3, 129)
    vicreg(out, 'vicreg', draw, 6, 5, 25.0, 25.0, 1.0, 0.6)
    vicreg(out, 'vicreg_wide', draw, 7, 17, 25.0, 25.0, 1.0, 0.9)
    vicreg(out, 'vicreg_variance', draw, 5, 4, 0.0, 3.0, 0.0, 0.4)
    vicreg(out, 'vicreg_covariance', draw, 5, 4, 0.0, 0.0, 2.0, 1.0)
    write(os.path.join(HERE, 'layers_representation.safetensors'), out)


if __name__ == '__main__':
    make_decoder()
    make_layers()
