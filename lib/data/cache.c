/* Decoded datasets in memory-mapped files (cache.h). */
#define _GNU_SOURCE /* MAP_POPULATE */
#include "cache.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "drl/file.h"
#include "drl/hash.h"
#include "drl/mem.h"
#include "source.h"

#define MAGIC       "drlcache"
#define VERSION     2 /* raise it when the format changes, or what any reader makes of the same bytes */
#define BYTE_ORDER  0x01020304u
#define LEAST_BYTES ((size_t)4 << 20)

typedef struct header {
    char magic[8];
    uint32_t version, byte_order;
    char key[65], sha256[65];
    char class_names[256][32], factor_names[DRL_MAX_FACTORS][32];
    uint64_t classes, factors, factor_classes[DRL_MAX_FACTORS], skipped;
    uint64_t n[DRL_SPLITS], h[DRL_SPLITS], w[DRL_SPLITS], c[DRL_SPLITS];
    double mean[DRL_MAX_CHANNELS], std[DRL_MAX_CHANNELS];
    uint64_t data_hash, header_hash; /* of all behind the header; of all in it before this */
} header;
#define DATA_OFFSET ((sizeof(header) + DRL_ALIGN - 1) / DRL_ALIGN * DRL_ALIGN) /* of the data in the file */

/* The arrays of a dataset in the order of the file. */
enum { ARRAYS = DRL_SPLITS * (2 + DRL_MAX_FACTORS) };
typedef struct layout {
    size_t count, total; /* arrays; bytes of the whole file */
    size_t offset[ARRAYS], bytes[ARRAYS];
    void *array[ARRAYS]; /* where the dataset has them: of the file's size, or NULL in a dataset being loaded */
} layout;

static bool add(layout *l, void *array, size_t n, size_t unit) {
    size_t bytes, end;
    if (!drl_mul_size(&bytes, n, unit) || __builtin_add_overflow(l->total, bytes, &end) || end > SIZE_MAX - DRL_ALIGN)
        return false;
    l->offset[l->count] = l->total;
    l->bytes[l->count] = bytes;
    l->array[l->count++] = array;
    l->total = drl_align_count(end, 1);
    return true;
}

static bool plan(layout *l, const drl_dataset *ds) {
    *l = (layout){.total = DATA_OFFSET};
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *im = &ds->split[s];
        if (!add(l, im->pixels, im->n, im->h * im->w * im->c) || !add(l, im->labels, im->n, sizeof *im->labels))
            return false;
        for (size_t f = 0; f < ds->factors; f++)
            if (!add(l, im->factors[f], im->n, sizeof *im->factors[f])) return false;
    }
    return true;
}

static void key_of(char key[65], const char *source_sha256, const drl_dataset_cfg *cfg) {
    char text[2048];
    int length = snprintf(text, sizeof text, "cache %d\n%s\n%s\nsize %zu train %zu test %zu\n", VERSION, source_sha256,
                          cfg->name, cfg->size, cfg->train_limit, cfg->test_limit);
    if (drl_source_path(cfg->name)) /* the others do not look at these */
        length += snprintf(text + length, sizeof text - (size_t)length, "seed %" PRIu64 " resize %d skip %d\n",
                           cfg->seed, (int)cfg->resize, (int)cfg->skip_bad);
    assert(length > 0 && (size_t)length < sizeof text);
    drl_sha256(key, text, (size_t)length);
}

static bool path_of(char *path, size_t size, const char *key, const drl_dataset_cfg *cfg) {
    char dir[DRL_PATH_MAX];
    if (!drl_cache_dir(dir, sizeof dir, cfg)) return false;
    int length = snprintf(path, size, "%s/dataset-%s", dir, key);
    return length > 0 && (size_t)length < size;
}

static uint64_t header_hash(const header *h) {
    return XXH3_64bits(h, offsetof(header, header_hash));
}

/* ---- Loading ----------------------------------------------------------------------------------------------------- */

/* Everything the header says of itself, and shapes that this library could have made. */
static bool header_is_sound(const header *h, const char *key) {
    if (memcmp(h->magic, MAGIC, sizeof h->magic) != 0 || h->version != VERSION || h->byte_order != BYTE_ORDER ||
        header_hash(h) != h->header_hash || memcmp(h->key, key, sizeof h->key) != 0)
        return false;
    if (h->classes > sizeof h->class_names / sizeof *h->class_names || h->factors > DRL_MAX_FACTORS) return false;
    for (int s = 0; s < DRL_SPLITS; s++)
        if (h->n[s] > UINT32_MAX || h->h[s] > UINT16_MAX || h->w[s] > UINT16_MAX || h->c[s] > DRL_MAX_CHANNELS)
            return false;
    return true;
}

static void copy_header(drl_dataset *ds, const header *h) {
    memcpy(ds->sha256, h->sha256, sizeof ds->sha256);
    memcpy(ds->class_names, h->class_names, sizeof ds->class_names);
    memcpy(ds->factor_names, h->factor_names, sizeof ds->factor_names);
    memcpy(ds->mean, h->mean, sizeof ds->mean);
    memcpy(ds->std, h->std, sizeof ds->std);
    ds->classes = h->classes;
    ds->factors = h->factors;
    ds->skipped = h->skipped;
    for (size_t f = 0; f < h->factors; f++) ds->factor_classes[f] = h->factor_classes[f];
    for (int s = 0; s < DRL_SPLITS; s++)
        ds->split[s] = (drl_images){.n = h->n[s], .h = h->h[s], .w = h->w[s], .c = h->c[s]};
}

static bool in_range(const int32_t *values, size_t n, size_t classes) {
    bool ok = true;
    for (size_t i = 0; i < n; i++) ok &= values[i] >= 0 && (size_t)values[i] < classes;
    return ok;
}

/* Points the dataset's arrays into the mapping; false where a label is out of range. */
static bool attach(drl_dataset *ds, const layout *l, uint8_t *base) {
    size_t a = 0;
    bool ok = true;
    for (int s = 0; s < DRL_SPLITS; s++) {
        drl_images *im = &ds->split[s];
        im->pixels = base + l->offset[a++];
        im->labels = (int32_t *)(void *)(base + l->offset[a++]);
        ok &= in_range(im->labels, im->n, ds->classes);
        for (size_t f = 0; f < ds->factors; f++) {
            im->factors[f] = (int32_t *)(void *)(base + l->offset[a++]);
            ok &= in_range(im->factors[f], im->n, ds->factor_classes[f]);
        }
    }
    return ok;
}

bool drl_cache_load(drl_dataset *ds, const char *source_sha256, const drl_dataset_cfg *cfg) {
    char key[65], path[DRL_PATH_MAX];
    key_of(key, source_sha256, cfg);
    if (!path_of(path, sizeof path, key, cfg)) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    drl_dataset *found = NULL;
    void *map = MAP_FAILED;
    bool ok = false;
    struct stat info;
    layout l;
    header h;
    if (drl_alloc(&found, 1, sizeof *found, "cached dataset", NULL) != DRL_OK) goto done;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || read(fd, &h, sizeof h) != (ssize_t)sizeof h) goto done;
    if (!header_is_sound(&h, key)) goto done;
    copy_header(found, &h);
    if (!plan(&l, found) || (uint64_t)info.st_size != l.total) goto done;
    map = mmap(NULL, l.total, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (map == MAP_FAILED) goto done;
    uint8_t *base = map;
    ok = XXH3_64bits(base + sizeof h, l.total - sizeof h) == h.data_hash && attach(found, &l, base);
    if (!ok) goto done;
    memcpy(found->name, ds->name, sizeof found->name);
    found->cached = true;
    found->mapping = map;
    found->mapping_size = l.total;
    *ds = *found;
done:
    if (!ok && map != MAP_FAILED) munmap(map, l.total);
    drl_free(found);
    close(fd);
    return ok;
}

/* ---- Storing ----------------------------------------------------------------------------------------------------- */

static void fill_header(header *h, const drl_dataset *ds, const char *key) {
    memcpy(h->magic, MAGIC, sizeof h->magic);
    h->version = VERSION;
    h->byte_order = BYTE_ORDER;
    memcpy(h->key, key, sizeof h->key);
    memcpy(h->sha256, ds->sha256, sizeof h->sha256);
    memcpy(h->class_names, ds->class_names, sizeof h->class_names);
    memcpy(h->factor_names, ds->factor_names, sizeof h->factor_names);
    memcpy(h->mean, ds->mean, sizeof h->mean);
    memcpy(h->std, ds->std, sizeof h->std);
    h->classes = ds->classes;
    h->factors = ds->factors;
    h->skipped = ds->skipped;
    for (size_t f = 0; f < ds->factors; f++) h->factor_classes[f] = ds->factor_classes[f];
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *im = &ds->split[s];
        h->n[s] = im->n, h->h[s] = im->h, h->w[s] = im->w, h->c[s] = im->c;
    }
}

/* Hands every byte behind the header to take(), in the order of the file. */
static void each_block(const layout *l, void (*take)(void *to, const void *bytes, size_t size), void *to) {
    static const uint8_t zeros[DRL_ALIGN];
    take(to, zeros, DATA_OFFSET - sizeof(header));
    for (size_t a = 0; a < l->count; a++) {
        size_t end = a + 1 < l->count ? l->offset[a + 1] : l->total;
        take(to, l->array[a], l->bytes[a]);
        take(to, zeros, end - l->offset[a] - l->bytes[a]);
    }
}

static void take_hash(void *to, const void *bytes, size_t size) {
    XXH3_64bits_update(to, bytes, size);
}

static void take_file(void *to, const void *bytes, size_t size) {
    (void)fwrite(bytes, 1, size, to); /* the commit sees a failure */
}

drl_status drl_cache_store(const drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err) {
    char key[65], path[DRL_PATH_MAX], dir[DRL_PATH_MAX];
    layout l;
    if (!drl_cache_dir(dir, sizeof dir, cfg) || !plan(&l, ds) || l.total < LEAST_BYTES) return DRL_OK;
    key_of(key, ds->sha256, cfg);
    if (!path_of(path, sizeof path, key, cfg)) return drl_fail(err, DRL_ERR_CONFIG, "%.200s: path too long", dir);
    drl_status st = drl_make_dirs(dir, err);
    if (st != DRL_OK) return st;
    drl_temporary_sweep(dir);
    XXH3_state_t *state = XXH3_createState();
    if (!state || XXH3_64bits_reset(state) != XXH_OK) {
        XXH3_freeState(state);
        return drl_fail(err, DRL_ERR_MEMORY, "cannot compute the hash of a cache");
    }
    each_block(&l, take_hash, state);
    header h;
    memset(&h, 0, sizeof h); /* what lies between its members is hashed and written too */
    fill_header(&h, ds, key);
    h.data_hash = XXH3_64bits_digest(state);
    h.header_hash = header_hash(&h);
    XXH3_freeState(state);
    drl_new_file file;
    if ((st = drl_new_file_open(&file, path, err)) != DRL_OK) return st;
    take_file(file.f, &h, sizeof h);
    each_block(&l, take_file, file.f);
    return drl_new_file_commit(&file, err);
}
