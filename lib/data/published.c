/* What is published, and checking files against it (published.h, drl/fetch.h).
 *
 * Sizes and SHA-256 are those recorded by TensorFlow Datasets, which fetches the same files; torchvision's MD5 of the
 * files of Fashion-MNIST and its SHA-256 here were both found to be those of Debian's files with the original gzip
 * headers put back. */
#include "published.h"

#include <string.h>
#include <sys/stat.h>

#include "cache.h"

#define TRAIN_IMAGES "train-images-idx3-ubyte.gz"
#define TRAIN_LABELS "train-labels-idx1-ubyte.gz"
#define TEST_IMAGES  "t10k-images-idx3-ubyte.gz"
#define TEST_LABELS  "t10k-labels-idx1-ubyte.gz"

#define FASHION_AT "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
#define MNIST_AT   "https://ossci-datasets.s3.amazonaws.com/mnist" /* a mirror: the author's own site is gone */
#define KMNIST_AT  "http://codh.rois.ac.jp/kmnist/dataset/kmnist"
#define EMNIST_AT  "https://biometrics.nist.gov/cs_links/EMNIST"
#define CIFAR_AT   "https://www.cs.toronto.edu/~kriz"

static const drl_published files[] = {
    {"fashion-mnist", TRAIN_IMAGES, 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
     FASHION_AT},
    {"fashion-mnist", TRAIN_LABELS, 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
     FASHION_AT},
    {"fashion-mnist", TEST_IMAGES, 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
     FASHION_AT},
    {"fashion-mnist", TEST_LABELS, 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
     FASHION_AT},
    {"mnist", TRAIN_IMAGES, 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", MNIST_AT},
    {"mnist", TRAIN_LABELS, 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", MNIST_AT},
    {"mnist", TEST_IMAGES, 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", MNIST_AT},
    {"mnist", TEST_LABELS, 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", MNIST_AT},
    {"kmnist", TRAIN_IMAGES, 18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4", KMNIST_AT},
    {"kmnist", TRAIN_LABELS, 29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17", KMNIST_AT},
    {"kmnist", TEST_IMAGES, 3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5", KMNIST_AT},
    {"kmnist", TEST_LABELS, 5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c", KMNIST_AT},
    {"emnist", "gzip.zip", 561753746, "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e", EMNIST_AT},
    {"cifar10", "cifar-10-binary.tar.gz", 170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
     CIFAR_AT},
    {"cifar100", "cifar-100-binary.tar.gz", 168513733,
     "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", CIFAR_AT},
    /* Debian's package dataset-fashion-mnist: the same, without name and time in the gzip headers. */
    {"fashion-mnist", TRAIN_IMAGES, 26421856, "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7", NULL},
    {"fashion-mnist", TRAIN_LABELS, 29491, "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056", NULL},
    {"fashion-mnist", TEST_IMAGES, 4422079, "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa", NULL},
    {"fashion-mnist", TEST_LABELS, 5125, "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05", NULL},
};
enum { FILES = sizeof files / sizeof *files };

const drl_published *drl_published_list(size_t *n) {
    *n = FILES;
    return files;
}

const char *drl_published_as(const char *dataset) {
    for (const drl_published *p = files; p < files + FILES; p++) {
        size_t length = strlen(p->dataset);
        if (strncmp(dataset, p->dataset, length) == 0 && (!dataset[length] || dataset[length] == '-'))
            return p->dataset;
    }
    return NULL;
}

drl_status drl_published_check(const char *dataset, const char *file, uint64_t size, const char *sha256, drl_err *err) {
    for (const drl_published *p = files; p < files + FILES; p++) {
        bool ours = strcmp(p->dataset, dataset) == 0, same = strcmp(p->sha256, sha256) == 0;
        if (same && !ours) return drl_fail(err, DRL_ERR_FORMAT, "is %s of %s, not of %s", p->file, p->dataset, dataset);
        if (ours && !same && p->size == size && strcmp(p->file, file) == 0)
            return drl_fail(err, DRL_ERR_FORMAT,
                            "is damaged: it has the published size, but SHA-256 %.12s... instead of %.12s...", sha256,
                            p->sha256);
    }
    return DRL_OK;
}

drl_status drl_identify_published(char sha256[65], const char *dataset, const char *path, const drl_dataset_cfg *cfg,
                                  drl_err *err) {
    const char *slash = strrchr(path, '/');
    struct stat info;
    drl_status st = drl_identify_file(sha256, path, cfg, err);
    if (st != DRL_OK || stat(path, &info) != 0) return st;
    st = drl_published_check(dataset, slash ? slash + 1 : path, (uint64_t)info.st_size, sha256, err);
    return st == DRL_OK ? st : drl_err_context(err, st, "%s", path);
}
