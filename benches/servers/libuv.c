// An HTTP server on libuv, on one thread.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";
enum { LENGTH = sizeof ANSWER - 1, BUFFER = 8 * 1024 };

struct connection {
    uv_tcp_t stream;
    // How many bytes of "\r\n\r\n" came last.
    int matched;
};

struct answers {
    uv_write_t write;
    char bytes[];
};

// All connections read into it: libuv calls on_read before it reads for another.
static char buffer[BUFFER];

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "libuv: %s: %s\n", what, uv_strerror(result));
        exit(1);
    }
}

static void on_closed(uv_handle_t *handle) { free(handle); }

static void close_connection(uv_stream_t *stream) {
    if (!uv_is_closing((uv_handle_t *)stream)) {
        uv_close((uv_handle_t *)stream, on_closed);
    }
}

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *given) {
    (void)handle, (void)size;
    *given = uv_buf_init(buffer, BUFFER);
}

static void on_written(uv_write_t *write, int status) {
    if (status < 0) {
        close_connection(write->handle);
    }
    free(write);
}

static void answer(uv_stream_t *stream, int requests) {
    // Most often the kernel takes it all, so that no memory is needed.
    char few[8 * LENGTH];
    struct answers *answers = NULL;
    char *bytes = few;
    if (requests > 8) {
        answers = malloc(sizeof *answers + (size_t)requests * LENGTH);
        bytes = answers->bytes;
    }
    for (int i = 0; i < requests; i++) {
        memcpy(bytes + (size_t)i * LENGTH, ANSWER, LENGTH);
    }
    unsigned length = (unsigned)requests * LENGTH;
    uv_buf_t whole = uv_buf_init(bytes, length);
    int sent = uv_try_write(stream, &whole, 1);
    if (sent == UV_EAGAIN) {
        sent = 0;
    }
    if (sent < 0 || (unsigned)sent == length) {
        free(answers);
        if (sent < 0) {
            close_connection(stream);
        }
        return;
    }
    if (answers == NULL) {
        answers = malloc(sizeof *answers + length);
        memcpy(answers->bytes, few, length);
    }
    uv_buf_t rest = uv_buf_init(answers->bytes + sent, length - (unsigned)sent);
    check(uv_write(&answers->write, stream, &rest, 1, on_written), "uv_write");
}

static void on_read(uv_stream_t *stream, ssize_t received, const uv_buf_t *read) {
    struct connection *connection = (struct connection *)stream;
    if (received < 0) {
        close_connection(stream);
        return;
    }
    int requests = 0;
    for (ssize_t i = 0; i < received; i++) {
        char byte = read->base[i];
        if (byte == "\r\n\r\n"[connection->matched]) {
            connection->matched++;
        } else {
            connection->matched = byte == '\r';
        }
        if (connection->matched == 4) {
            connection->matched = 0;
            requests++;
        }
    }
    if (requests > 0) {
        answer(stream, requests);
    }
}

static void on_connection(uv_stream_t *listener, int status) {
    check(status, "listening");
    struct connection *connection = calloc(1, sizeof *connection);
    uv_stream_t *stream = (uv_stream_t *)&connection->stream;
    check(uv_tcp_init(listener->loop, &connection->stream), "uv_tcp_init");
    if (uv_accept(listener, stream) < 0 || uv_tcp_nodelay(&connection->stream, 1) < 0) {
        close_connection(stream);
        return;
    }
    check(uv_read_start(stream, give_buffer, on_read), "uv_read_start");
}

int main(void) {
    uv_tcp_t listener;
    struct sockaddr_in address;
    int size = sizeof address;
    check(uv_tcp_init(uv_default_loop(), &listener), "uv_tcp_init");
    check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
    check(uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0), "uv_tcp_bind");
    // The kernel limits the queue to net.core.somaxconn.
    check(uv_listen((uv_stream_t *)&listener, 1 << 30, on_connection), "uv_listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size), "uv_tcp_getsockname");
    printf("http listens on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
