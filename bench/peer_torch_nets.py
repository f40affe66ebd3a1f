"""The networks, the objective and the optimiser of the suite in PyTorch, written for speed on a CPU.

Section numbers are those of the golden vectors' description, which tests/golden holds both implementations to; names of
modules give the parameter names of section 3. Used by peer_torch.py only.

What is done for speed beyond plain modules: q, k and v are one convolution; sums and rectifiers work in place where
autograd allows it; 1x1 convolutions go before an upsampling, not after; dropout draws 16 bits an element; Adam,
clipping and the moving average run over one flat vector in pieces that stay in the cache; `fold` merges what inference
knows to be constant into the weights.
"""
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

R2 = math.sqrt(0.5)

# image channels, encoder depth and width, score multipliers, blocks a level, attention resolution
NETS = {
    'paper': (3, 28, 2, (1, 2, 2, 2), 2, 16),
    'grey': (1, 28, 2, (1, 2, 2, 2), 2, 16),
    'desk': (1, 10, 1, (1, 2, 2), 1, 8),
}
SIZE, NF, DROPOUT, LAMBDA_Z = 32, 16, 0.1, 1e-5


def conv(cin, cout, k, stride=1):
    return nn.Conv2d(cin, cout, k, stride, padding=k // 2)


def pixels(v):
    """One value a channel, the same at every pixel."""
    return v[:, :, None, None]


# ---- Blocks of both networks (section 4) -----------------------------------------------------------------------------


class TimeEmbedding(nn.Module):
    """lin2(silu(lin1([sin, cos] of 2 pi s f)));  phases in double.                                             [4.1]"""

    def __init__(self, nf):
        super().__init__()
        self.register_buffer('fourier', 16 * torch.randn(nf))
        self.lin1, self.lin2 = nn.Linear(2 * nf, 4 * nf), nn.Linear(4 * nf, 4 * nf)

    def forward(self, log_label):
        phase = log_label.double()[:, None] * (2 * math.pi * self.fourier.double())
        features = torch.cat((phase.sin(), phase.cos()), 1).float()
        return self.lin2(F.silu(self.lin1(features)))


class BatchNorm(nn.Module):
    """[4.2] Without the counter of batches that nn.BatchNorm2d keeps."""

    def __init__(self, c, momentum=0.1):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))
        self.register_buffer('running_mean', torch.zeros(c))
        self.register_buffer('running_var', torch.ones(c))
        self.momentum = momentum

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training,
                            self.momentum, 1e-5)


def group_norm(c):
    return nn.GroupNorm(min(c // 4, 32), c, eps=1e-6)  # [4.3]


class WideBlock(nn.Module):
    """y = conv2(relu(bn2(conv1(relu(bn1(x))) + temb(a)))) + shortcut(x)                                        [4.4]"""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.bn1, self.conv1, self.temb = BatchNorm(cin), conv(cin, cout, 3), nn.Linear(64, cout)
        self.bn2, self.conv2 = BatchNorm(cout), conv(cout, cout, 3, stride)
        self.shortcut = conv(cin, cout, 1, stride) if stride == 2 or cin != cout else None
        self.folded = False

    def forward(self, x, a):
        h = self.conv1(F.relu_(self.bn1(x))).add_(pixels(self.temb(a)))
        h = self.conv2(F.relu_(h if self.folded else self.bn2(h)))
        return h.add_(x if self.shortcut is None else self.shortcut(x))

    def fold(self):
        """Inference: bn2 is a constant scale and shift of conv1 and temb."""
        bn, self.folded = self.bn2, True
        scale = bn.weight / torch.sqrt(bn.running_var + 1e-5)
        self.conv1.weight.mul_(scale[:, None, None, None])
        self.conv1.bias.sub_(bn.running_mean).mul_(scale).add_(bn.bias)
        self.temb.weight.mul_(scale[:, None])
        self.temb.bias.mul_(scale)


class Residual(nn.Module):
    """y = (x + h) / sqrt(2), where the last convolutions of either side may have taken over the factor."""

    folded = False

    def join(self, x, h, convolved):
        return h.add_(x, alpha=1 if convolved else R2) if self.folded else h.add_(x).mul_(R2)

    def fold(self, *last):
        self.folded = True
        for c in last:
            c.weight.mul_(R2)
            c.bias.mul_(R2)


class ResBlock(Residual):
    """norm, silu, resize, conv, + temb(a), norm, silu, dropout, conv; joined with skip(resize(x))              [4.5]"""

    def __init__(self, cin, cout, emb, kind, masks):
        super().__init__()
        self.norm1, self.conv1, self.temb = group_norm(cin), conv(cin, cout, 3), nn.Linear(emb, cout)
        self.norm2, self.conv2 = group_norm(cout), conv(cout, cout, 3)
        self.skip = conv(cin, cout, 1) if cin != cout or kind else None
        self.kind, self.masks = kind, masks

    def forward(self, x, a):
        h = F.silu(self.norm1(x))
        if self.kind == 'down':
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        elif self.kind == 'up':
            h = F.interpolate(h, scale_factor=2.0, mode='nearest')
        h = self.conv1(h).add_(pixels(self.temb(a)))
        h = F.silu(self.norm2(h))
        if self.training:
            h = self.masks.drop(h)
        h = self.conv2(h)
        if self.skip is not None:
            x = self.skip(x)
            if self.kind == 'up':  # every pixel by itself, so before or after is the same
                x = F.interpolate(x, scale_factor=2.0, mode='nearest')
        return self.join(x, h, self.skip is not None)

    def fold(self):
        super().fold(*(c for c in (self.conv2, self.skip) if c is not None))


class Attention(Residual):
    """One head over all pixels; the three projections are one convolution.                                     [4.6]"""

    def __init__(self, c):
        super().__init__()
        self.norm = group_norm(c)
        self.q, self.k, self.v, self.out = (conv(c, c, 1) for _ in range(4))

    def forward(self, x):
        n, c, rows, cols = x.shape
        parts = self.q, self.k, self.v
        qkv = F.conv2d(self.norm(x), torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        q, k, v = qkv.flatten(2).chunk(3, 1)  # (n, c, pixels) each
        w = torch.baddbmm(x.new_empty(()), q.transpose(1, 2), k, beta=0, alpha=c**-0.5).softmax(2)
        if x.is_contiguous():
            g = torch.bmm(v, w.transpose(1, 2)).view(n, c, rows, cols)
        else:
            g = torch.bmm(w, v.transpose(1, 2)).view(n, rows, cols, c).permute(0, 3, 1, 2)
        return self.join(x, self.out(g), False)

    def fold(self):
        super().fold(self.out)


class Masks:
    """Dropout of rate p. `bits`: 16 random bits an element by NumPy's SFC64 instead of PyTorch's one Bernoulli draw
    after the other, which no other thread helps with; the rate is p to 1/65536."""

    def __init__(self, p, bits):
        self.p, self.bits = p, bits
        self.rng = np.random.Generator(np.random.SFC64(1))

    def draw(self, h):
        """0 or 1 / (1 - p) an element of h, in the order of its memory."""
        if not self.bits:
            return torch.empty_like(h).bernoulli_(1 - self.p).mul_(1 / (1 - self.p))
        words = self.rng.integers(0, 2**64, (h.numel() + 3) // 4, dtype=np.uint64).view(np.int16)
        keep = torch.from_numpy(words)[:h.numel()].float().ge_(round(65536 * self.p) - 32768)  # in place it stays float
        return keep.mul_(1 / (1 - self.p)).as_strided(h.shape, h.stride())

    def drop(self, h):
        return h * self.draw(h) if self.p > 0 else h


# ---- Encoder (section 5) ---------------------------------------------------------------------------------------------


class Encoder(nn.Module):
    def __init__(self, channels, depth, width, probabilistic=False):
        super().__init__()
        blocks, cin = (depth - 4) // 6, 16
        self.time, self.stem = TimeEmbedding(16), conv(channels, 16, 3)
        for s in range(3):
            stage, cout = nn.ModuleDict(), int((16 << s) * width)
            for i in range(blocks):
                stage[f'block{i}'] = WideBlock(cin, cout, 2 if s > 0 and i == 0 else 1)
                cin = cout
            self.add_module(f'stage{s + 1}', stage)
        self.bn = BatchNorm(cin, momentum=0.9)  # the newest batch weighs nine tenths
        self.latent = nn.Linear(cin, 2 * cin) if probabilistic else None
        self.size = cin

    def forward(self, x, t):
        log_sigma = math.log(0.01) + t.double() * math.log(5000)
        a, h = F.silu(self.time(log_sigma)), self.stem(x)
        for stage in self.stage1, self.stage2, self.stage3:
            for block in stage.values():
                h = block(h, a)
        z = F.relu_(self.bn(h)).mean((2, 3))
        return z if self.latent is None else self.latent(z)


# ---- Score network (section 6) ---------------------------------------------------------------------------------------


class Score(nn.Module):
    def __init__(self, channels, size, nf, mult, blocks, attention, latent, dropout=DROPOUT, bits=True):
        super().__init__()
        self.levels, self.low, self.nf = len(mult), size >> (len(mult) - 1), nf
        emb, masks = (8 if latent else 4) * nf, Masks(dropout, bits)

        def block(cin, cout, kind=''):
            return ResBlock(cin, cout, emb, kind, masks)

        self.time = TimeEmbedding(nf)
        self.conditional = bool(latent)
        if latent:
            hid = 2 * nf * self.low
            self.z_temb, self.z_proj1 = nn.Linear(latent, 4 * nf), nn.Linear(emb, hid)
            self.z_proj2, self.z_proj3 = nn.Linear(hid, hid), nn.Linear(hid, hid * self.low)
        self.conv_in = conv(channels, nf, 3)
        c, pyramid, stack = nf, channels, [nf]
        for L, m in enumerate(mult):
            level = nn.ModuleDict()
            for i in range(blocks):
                level[f'block{i}'], c = block(c, nf * m), nf * m
                if size >> L == attention:
                    level[f'attn{i}'] = Attention(c)
                stack.append(c)
            if L + 1 < self.levels:
                level['down'] = block(c, c, 'down')
                level['pyramid'], pyramid = nn.Conv2d(pyramid, c, 3, 2), c
                stack.append(c)
            self.add_module(f'down{L}', level)
        c += 2 * nf if latent else 0
        self.mid = nn.ModuleDict({'block0': block(c, c), 'attn': Attention(c), 'block1': block(c, c)})
        for L in reversed(range(self.levels)):
            level = nn.ModuleDict()
            for i in range(blocks + 1):
                level[f'block{i}'], c = block(c + stack.pop(), nf * mult[L]), nf * mult[L]
            if size >> L == attention:
                level['attn'] = Attention(c)
            if L > 0:
                level['up'] = block(c, c, 'up')
            self.add_module(f'up{L}', level)
        self.norm_out, self.conv_out = group_norm(c), conv(c, channels, 3)
        self.folded = False

    def condition(self, label, z):
        """silu(cond), which goes to every block, and the map Z of the bottom.                                  [6.1]"""
        cond = self.time(label.double().log())
        if not self.conditional:
            return F.silu(cond), None
        cond = torch.cat((cond, self.z_temb(z)), 1)
        g = F.silu(self.z_proj3(F.silu(self.z_proj2(F.silu(self.z_proj1(cond))))))
        return F.silu(cond), g.view(-1, 2 * self.nf, self.low, self.low)

    def forward(self, x, label, z=None):
        """The raw output; VE divides it by the label.                                                      [6.2-6.4]"""
        a, bottom = self.condition(label, z)
        h, p = self.conv_in(x), x
        stack = [h]
        for L in range(self.levels):
            level = getattr(self, f'down{L}')
            for name, module in level.items():
                if name == 'pyramid':
                    continue
                if name == 'down':  # joined by the input pyramid, which is padded right and bottom only
                    u, q = module(h, a), level['pyramid'](F.pad(p, (0, 1, 0, 1)))
                    h = p = q.add_(u) if self.folded else q.add_(u).mul_(R2)
                    stack.append(h)
                elif name.startswith('attn'):
                    h = stack[-1] = module(h)
                else:
                    h = module(h, a)
                    stack.append(h)
        if bottom is not None:
            layout = torch.contiguous_format if h.is_contiguous() else torch.channels_last
            h = torch.cat((h, bottom.contiguous(memory_format=layout)), 1)
        h = self.mid['block1'](self.mid['attn'](self.mid['block0'](h, a)), a)
        for L in reversed(range(self.levels)):
            for name, module in getattr(self, f'up{L}').items():
                if name.startswith('block'):
                    h = torch.cat((h, stack.pop()), 1)
                h = module(h) if name == 'attn' else module(h, a)
        return self.conv_out(F.silu(self.norm_out(h)))

    def fold(self):
        """Inference: the joints of down block and pyramid take their factor from the weights."""
        self.folded = True
        for L in range(self.levels - 1):
            level = getattr(self, f'down{L}')
            for c in level['pyramid'], level['down'].conv2, level['down'].skip:
                c.weight.mul_(R2)
                c.bias.mul_(R2)


@torch.no_grad()
def fold(net):
    """Merges constants into the weights, for inference; the function computed stays the same."""
    for module in net.modules():
        if isinstance(module, (WideBlock, Residual, Score)):
            module.fold()
    return net


def build(name, bits=True, layout=torch.contiguous_format, score_layout=torch.contiguous_format):
    channels, depth, width, mult, blocks, attention = NETS[name]
    encoder = Encoder(channels, depth, width)
    score = Score(channels, SIZE, NF, mult, blocks, attention, encoder.size, DROPOUT, bits)
    return encoder.to(memory_format=layout), score.to(memory_format=score_layout)


# ---- Processes and objective (sections 8, 9) -------------------------------------------------------------------------


def marginal(kind, t):
    """m(t), s(t), label, and what the raw output is multiplied by to be the score; t in double.                  [8]"""
    if kind == 've':
        s = 0.01 * 5000**t
        return torch.ones_like(t), s, s, 1 / s
    log_mean = -0.25 * 19.9 * t**2 - 0.5 * 0.1 * t
    variance = -torch.expm1(2 * log_mean)
    s = variance.sqrt() if kind == 'vp' else variance
    return log_mean.exp(), s, (999 * t).clamp(min=1e-3), -1 / s


def drl_loss(encoder, score, x0, t, noise, kind='ve', lambda_z=LAMBDA_Z, layouts=2 * (torch.contiguous_format,)):
    """mean over images of  1/2 |s score + noise|^2 + lambda |z|_1;  loss, score, z, match, penalty.              [9]"""
    m, s, label, factor = marginal(kind, t.double())
    z = encoder(x0.contiguous(memory_format=layouts[0]), t)
    std = s.float()[:, None, None, None]
    x_t = noise * std + (x0 if kind == 've' else x0 * m.float()[:, None, None, None])
    estimate = score(x_t.contiguous(memory_format=layouts[1]), label, z) * factor.float()[:, None, None, None]
    match = 0.5 * (std * estimate + noise).square().sum((1, 2, 3))
    penalty = z.abs().sum(1)
    return (match + lambda_z * penalty).mean(), estimate, z, match, penalty


# ---- Optimiser (section 10) ------------------------------------------------------------------------------------------


def memory_order(x):
    """x as a vector in the order of its memory, for a channels-last weight without a copy."""
    return x.permute(0, 2, 3, 1).reshape(-1) if x.dim() == 4 and not x.is_contiguous() else x.reshape(-1)


class FlatAdam:
    """Clipping, Adam, weight decay in the gradient and moving average over one flat vector, piece by piece.

    The parameters become views of `value`; their gradients are gathered by one concatenation, after which clipping is
    only a factor. torch.optim.Adam with foreach=True makes every pass over all tensors, which do not fit a cache."""

    PIECE = 1 << 16

    def __init__(self, params, clip=None, weight_decay=0.0, average=True):
        self.params, self.clip, self.weight_decay = list(params), clip, weight_decay
        self.value = torch.cat([memory_order(p.data) for p in self.params])
        at = 0
        for p in self.params:
            part, at = self.value[at:at + p.numel()], at + p.numel()
            if p.dim() == 4 and not p.is_contiguous():
                o, i, ky, kx = p.shape
                p.data = part.view(o, ky, kx, i).permute(0, 3, 1, 2)
            else:
                p.data = part.view(p.shape)
        self.grad, self.m, self.v = (torch.zeros_like(self.value) for _ in range(3))
        self.ema, self.k = self.value.clone() if average else None, 0

    @torch.no_grad()
    def step(self, rate, decay=0.999):
        """The norm before clipping. p.grad of every parameter is used up. rate: a number, or one an element."""
        torch.cat([memory_order(p.grad) for p in self.params], out=self.grad)
        for p in self.params:
            p.grad = None
        norm, c = None, 1.0
        if self.clip is not None:
            norm = self.grad.norm().item()
            c = min(1.0, self.clip / (norm + 1e-6))
        self.k += 1
        rate, root = rate / (1 - 0.9**self.k), math.sqrt(1 - 0.999**self.k)
        for a in range(0, len(self.value), self.PIECE):
            p, g, m, v = (x[a:a + self.PIECE] for x in (self.value, self.grad, self.m, self.v))
            if self.weight_decay:
                g.add_(p, alpha=self.weight_decay)
            m.mul_(0.9).add_(g, alpha=0.1 * c)
            v.mul_(0.999).addcmul_(g, g, value=0.001 * c * c)
            torch.sqrt(v, out=g)
            g.add_(1e-8 * root)
            if torch.is_tensor(rate):
                p.addcdiv_(m * rate[a:a + self.PIECE], g, value=-root)
            else:
                p.addcdiv_(m, g, value=-rate * root)
            if self.ema is not None:
                self.ema[a:a + self.PIECE].lerp_(p, 1 - decay)
        return norm


class ForeachAdam:
    """The same by torch.optim.Adam(foreach=True) and torch.nn.utils.clip_grad_norm_."""

    def __init__(self, params, clip):
        self.params, self.clip = list(params), clip
        self.adam = torch.optim.Adam(self.params, foreach=True)
        self.ema = [p.detach().clone() for p in self.params]

    @torch.no_grad()
    def step(self, rate, decay=0.999):
        nn.utils.clip_grad_norm_(self.params, self.clip)
        self.adam.param_groups[0]['lr'] = rate
        self.adam.step()
        torch._foreach_mul_(self.ema, decay)
        torch._foreach_add_(self.ema, [p.detach() for p in self.params], alpha=1 - decay)
        self.adam.zero_grad(set_to_none=True)


def schedule(n):
    """Learning rate and decay of the moving average of the step after n steps.                                  [10]"""
    return 2e-4 * min(n / 5000, 1), min(0.999, (2 + n) / (11 + n))
