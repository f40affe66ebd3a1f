/* The two-dimensional transforms of one filtering, made of its one-dimensional ones. The including file defines M, N
 * and bt(y[N], x[N])  at(y[M], x[N])  a(y[N], x[M])  g(y[N], x[3])  gt(y[3], x[N]):  y = B^T x, A^T x, A x, G x, G^T x.
 */

/* One column of B^T d: the pixels at `at` of N rows. */
static inline void input_column(vec t[N], const drl_real *const row[], size_t at) {
    vec d[N];
    for (int i = 0; i < N; i++) d[i] = load(row[i] + at);
    bt(t, d);
}

/* Neighbouring tiles share two columns. */
static void gather(drl_real *v, size_t step, const drl_real *const row[], size_t across, size_t C, size_t channels) {
    for (size_t c = 0; c < channels; c += V) {
        vec t[N][N]; /* columns of B^T d */
        size_t at = c;
        drl_real *to = v + c;
        for (int i = 0; i < N; i++) t[0][i] = (vec){0};
        input_column(t[1], row, at);
        for (size_t tile = 1; tile <= across; tile++, to += channels) {
#pragma GCC unroll 8
            for (int j = 2; j < N - 1; j++) input_column(t[j], row, at += C);
            if (tile < across)
                input_column(t[N - 1], row, at += C);
            else
                for (int i = 0; i < N; i++) t[N - 1][i] = (vec){0};
#pragma GCC unroll 8
            for (size_t i = 0; i < N; i++) {
                vec x[N], y[N];
                for (int j = 0; j < N; j++) x[j] = t[j][i];
                bt(y, x);
                for (size_t j = 0; j < N; j++) store(to + (i * N + j) * step, y[j]);
                t[0][i] = t[N - 2][i], t[1][i] = t[N - 1][i];
            }
        }
    }
}

static inline __attribute__((always_inline)) void
scatter_ending(const winograd_target *to, const drl_real *p, size_t step, size_t across, size_t channels, ending how) {
    for (size_t tile = 0; tile < across; tile++, p += channels)
        for (size_t c = 0; c < channels; c += V) {
            vec r[M][N];
#pragma GCC unroll 8
            for (size_t j = 0; j < N; j++) {
                vec x[N], y[M];
                for (size_t i = 0; i < N; i++) x[i] = load(p + (i * N + j) * step + c);
                at(y, x);
                for (int i = 0; i < M; i++) r[i][j] = y[i];
            }
#pragma GCC unroll 8
            for (size_t i = 0; i < M; i++) {
                vec y[M];
                size_t place = i * to->pitch + tile * M * to->C + c;
                at(y, r[i]);
                for (size_t j = 0; j < M; j++)
                    finish(to->y + place + j * to->C, y[j], how, to->alpha, to->start + c,
                           to->residual + place + j * to->C);
            }
        }
}

static void scatter(const winograd_target *to, const drl_real *p, size_t step, size_t across, size_t channels) {
    DRL_FOR_EACH_ENDING(to->how, scatter_ending, to, p, step, across, channels);
}

static void spread(drl_real *e, size_t step, const drl_real *dy, size_t pitch, size_t across, size_t C) {
    for (size_t tile = 0; tile < across; tile++, dy += M * C, e += C)
        for (size_t c = 0; c < C; c += V) {
            vec r[N][M];
#pragma GCC unroll 8
            for (size_t j = 0; j < M; j++) {
                vec x[M], y[N];
                for (size_t i = 0; i < M; i++) x[i] = load(dy + i * pitch + j * C + c);
                a(y, x);
                for (int i = 0; i < N; i++) r[i][j] = y[i];
            }
#pragma GCC unroll 8
            for (size_t i = 0; i < N; i++) {
                vec y[N];
                a(y, r[i]);
                for (size_t j = 0; j < N; j++) store(e + (i * N + j) * step + c, y[j]);
            }
        }
}

static void kernel(drl_real *u, size_t step, const drl_real *w, size_t in, size_t out) {
    size_t tap = in * out;
    for (size_t i = 0; i < in; i++)
        for (size_t o = 0; o < blocks_of(out) * B; o += V) {
            vec r[N][3];
            drl_real *to = u + o / B * N * N * step + i * B + o % B;
            for (size_t j = 0; j < 3; j++) {
                vec x[3], y[N];
                for (size_t k = 0; k < 3; k++) x[k] = o < out ? load(w + (3 * k + j) * tap + i * out + o) : (vec){0};
                g(y, x);
                for (int k = 0; k < N; k++) r[k][j] = y[k];
            }
            for (size_t k = 0; k < N; k++) {
                vec y[N];
                g(y, r[k]);
                for (size_t j = 0; j < N; j++) store(to + (k * N + j) * step, y[j]);
            }
        }
}

static void gradient(drl_real *dw, size_t tap, const drl_real *du, size_t size, drl_real alpha) {
    for (size_t e = 0; e < size; e += V) {
        vec r[3][N];
        for (size_t j = 0; j < N; j++) {
            vec x[N], y[3];
            for (size_t i = 0; i < N; i++) x[i] = load(du + (i * N + j) * size + e);
            gt(y, x);
            for (int i = 0; i < 3; i++) r[i][j] = y[i];
        }
        for (size_t i = 0; i < 3; i++) {
            vec y[3];
            gt(y, r[i]);
            for (size_t j = 0; j < 3; j++) {
                drl_real *to = dw + (3 * i + j) * tap + e;
                store(to, load(to) + alpha * y[j]);
            }
        }
    }
}
