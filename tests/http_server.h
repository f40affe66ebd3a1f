/* A very small HTTP server for the tests of downloads: a child process that serves the files below a directory on a
 * port of its own, well or badly. Every request is a line "PATH FIRST" of the file `requests` there, FIRST being where
 * the range begins that was asked for, or -1. */
#ifndef DRL_TESTS_HTTP_SERVER_H
#define DRL_TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum http_mode {
    HTTP_GOOD,     /* whole files and parts of files                                     */
    HTTP_NO_RANGE, /* whole files whatever is asked for                                  */
    HTTP_CUT,      /* closes the connection after `limit` bytes of a body                */
    HTTP_STALL,    /* sends nothing more after `limit` bytes, and does not close either  */
    HTTP_ENDLESS,  /* does not say how long the body is, and appends 10 bytes            */
    HTTP_SHORT,    /* does not say how long the body is, and closes after `limit` bytes  */
    HTTP_BUSY,     /* answers 503                                                        */
    HTTP_REDIRECT, /* redirects to file:///etc/hostname                                  */
} http_mode;

typedef struct http_server {
    pid_t process;
    char url[64], root[512];
    http_mode mode;
    long limit;
} http_server;

static void http_send(int to, const char *bytes, size_t n) {
    while (n > 0) {
        ssize_t sent = send(to, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes += sent, n -= (size_t)sent;
    }
}

static void http_body(const http_server *s, int to, const char *bytes, long first, long size) {
    long end = (s->mode == HTTP_CUT || s->mode == HTTP_STALL || s->mode == HTTP_SHORT) && first + s->limit < size
                   ? first + s->limit
                   : size;
    char head[200];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\n",
                     first > 0 ? "206 Partial Content" : "200 OK");
    if (first > 0)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Range: bytes %ld-%ld/%ld\r\n", first, size - 1, size);
    if (s->mode != HTTP_ENDLESS && s->mode != HTTP_SHORT)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %ld\r\n", size - first);
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    http_send(to, head, (size_t)n);
    http_send(to, bytes + first, (size_t)(end - first));
    if (s->mode == HTTP_ENDLESS) http_send(to, "0123456789", 10);
    if (s->mode == HTTP_STALL)
        for (;;) pause();
}

static void http_answer(const http_server *s, int to) {
    char request[4096], path[256] = "", file[1024];
    size_t n = 0;
    while (n + 1 < sizeof request) {
        ssize_t got = recv(to, request + n, sizeof request - 1 - n, 0);
        if (got <= 0) return;
        request[n += (size_t)got] = '\0';
        if (strstr(request, "\r\n\r\n")) break;
    }
    const char *range = strstr(request, "Range: bytes=");
    long asked = range ? strtol(range + 13, NULL, 10) : -1;
    sscanf(request, "GET %255s", path);
    snprintf(file, sizeof file, "%s/requests", s->root);
    FILE *f = fopen(file, "a");
    if (f) fprintf(f, "%s %ld\n", path, asked), fclose(f);
    snprintf(file, sizeof file, "%s%s", s->root, path);
    f = fopen(file, "rb");
    static const char none[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnone\n";
    static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    static const char away[] = "HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\nContent-Length: 0\r\n\r\n";
    if (s->mode == HTTP_BUSY) {
        http_send(to, busy, sizeof busy - 1);
    } else if (s->mode == HTTP_REDIRECT) {
        http_send(to, away, sizeof away - 1);
    } else if (!f) {
        http_send(to, none, sizeof none - 1);
    } else {
        fseek(f, 0, SEEK_END);
        long size = ftell(f), first = asked > 0 && asked < size && s->mode != HTTP_NO_RANGE ? asked : 0;
        rewind(f);
        char *bytes = malloc((size_t)size + 1);
        if (bytes && fread(bytes, 1, (size_t)size, f) == (size_t)size) http_body(s, to, bytes, first, size);
        free(bytes);
    }
    if (f) fclose(f);
}

static void http_start(http_server *s, const char *root, http_mode mode, long limit) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    *s = (http_server){.mode = mode, .limit = limit};
    snprintf(s->root, sizeof s->root, "%s", root);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0 && bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 8) == 0 &&
                getsockname(listener, (struct sockaddr *)&at, &length) == 0);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    assert_true((s->process = fork()) >= 0);
    if (s->process == 0) {
        alarm(120); /* whatever becomes of the test */
        for (;;) {
            int to = accept(listener, NULL, NULL);
            if (to < 0) continue;
            http_answer(s, to);
            shutdown(to, SHUT_WR);
            close(to);
        }
    }
    close(listener);
}

static void http_stop(http_server *s) {
    kill(s->process, SIGKILL);
    waitpid(s->process, NULL, 0);
}

#endif
