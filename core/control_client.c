/* SPDX-License-Identifier: Apache-2.0 */
#include "control_client.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char *control_default_socket(void) {
    const char *path = getenv("MEERKAT_SOCKET");
    return path && *path ? path : MEERKAT_RUN_DIR "/meerkat.sock";
}

int control_connect(const char *path) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool send_all(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return true;
}

/* One line, or what there is of it when the server hangs up. */
static char *receive_line(int fd) {
    size_t len = 0, cap = 64 * 1024;
    char *text = malloc(cap);
    while (text) {
        if (len + 1 == cap) {
            char *bigger = realloc(text, cap *= 2);
            if (!bigger)
                break;
            text = bigger;
        }
        ssize_t n = recv(fd, text + len, cap - len - 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        if (text[len - 1] == '\n')
            break;
    }
    if (text)
        text[len] = '\0';
    return text;
}

cJSON *control_ask(int fd, const char *command, cJSON *args, const char **why) {
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "command", command);
    if (args)
        cJSON_AddItemToObject(request, "args", args);
    char *text = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    *why = "out of memory";
    if (!text)
        return NULL;
    bool sent = send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1);
    explicit_bzero(text, strlen(text)); /* there may be a password in it */
    cJSON_free(text);
    if (!sent)
        *why = "the server does not listen";
    char *line = sent ? receive_line(fd) : NULL;
    if (!line)
        return NULL;
    cJSON *answer = cJSON_Parse(line);
    *why = *line ? "the server's answer makes no sense" : "the server hung up without an answer";
    free(line);
    if (cJSON_IsObject(answer))
        return answer;
    cJSON_Delete(answer);
    return NULL;
}
