/* Where and with what a number was made, as JSON (drl/results.h). */
#define _POSIX_C_SOURCE 200809L
#include <archive.h>
#include <cblas.h>
#include <cjson/cJSON.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <zlib.h>

#include "drl/blas.h"
#include "drl/real.h"
#include "drl/results.h"
#include "drl/threads.h"
#include "results/gnuplot.h"

static char *text;

/* The first "model name" of /proc/cpuinfo, else the machine's architecture. */
static void cpu_model(char *buf, size_t size) {
    struct utsname name;
    snprintf(buf, size, "%s", uname(&name) == 0 ? name.machine : "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f) return;
    char line[512];
    while (fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(buf, size, "%s", colon);
        break;
    }
    fclose(f);
}

/* "gnuplot 5.4 patchlevel 4" without its first word; "not installed". */
static void gnuplot_version(char *buf, size_t size) {
    char printed[128] = "", *argv[] = {(char[]){"gnuplot"}, (char[]){"--version"}, NULL};
    int status = -1;
    if (drl_gnuplot_run(printed, sizeof printed, &status, argv, NULL) != DRL_OK || status != 0) {
        snprintf(buf, size, "not installed");
        return;
    }
    printed[strcspn(printed, "\n")] = '\0';
    snprintf(buf, size, "%s", strncmp(printed, "gnuplot ", 8) == 0 ? printed + 8 : printed);
}

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* Whether files differed from the revision when the build was configured; null where there is no revision. */
static void add_dirty(cJSON *all) {
    static const char revision[] = DRL_GIT_REVISION;
    const char *dash = strrchr(revision, '-');
    if (strcmp(revision, "unknown") == 0)
        cJSON_AddNullToObject(all, "git_dirty");
    else
        cJSON_AddBoolToObject(all, "git_dirty", dash && strcmp(dash, "-dirty") == 0);
}

static void collect(void) {
    char buf[256];
    cJSON *all = cJSON_CreateObject(), *libraries = cJSON_CreateObject();
    cJSON_AddStringToObject(all, "version", DRL_VERSION);
    cJSON_AddStringToObject(all, "git_revision", DRL_GIT_REVISION);
    add_dirty(all);
    cJSON_AddStringToObject(all, "precision", DRL_REAL_NAME);
    cJSON_AddStringToObject(all, "compiler", COMPILER);
    cpu_model(buf, sizeof buf);
    cJSON_AddStringToObject(all, "cpu", buf);
    cJSON_AddNumberToObject(all, "processors", (double)drl_threads_available());
    cJSON_AddStringToObject(all, "blas_kernels", drl_blas_kernels());
    cJSON_AddItemToObject(all, "libraries", libraries);
    cJSON_AddStringToObject(libraries, "openblas", openblas_get_config());
    cJSON_AddStringToObject(libraries, "sqlite", sqlite3_libversion());
    cJSON_AddStringToObject(libraries, "libarchive", archive_version_details());
    cJSON_AddStringToObject(libraries, "openssl", OpenSSL_version(OPENSSL_VERSION));
    cJSON_AddStringToObject(libraries, "zlib", zlibVersion());
    cJSON_AddStringToObject(libraries, "cjson", cJSON_Version());
    gnuplot_version(buf, sizeof buf);
    cJSON_AddStringToObject(libraries, "gnuplot", buf);
    text = cJSON_PrintUnformatted(all);
    cJSON_Delete(all);
}

const char *drl_provenance(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, collect);
    return text ? text : "{}";
}
