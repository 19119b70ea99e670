/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control client.  It knows no command: the server tells what there is, and checks what is asked of it.
 * Exit status: 0 done, 1 the command failed, 2 it was asked wrongly, 3 no server answers.
 */
#include "control_client.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { DONE, FAILED, MISUSED, NO_SERVER };
enum { FILE_MAX = 64 * 1024, COLUMNS_MAX = 64 };

struct options {
    const char *socket;
    bool json, help, complete;
    char **words; /* what is left, COUNT of them; FREE_FROM: the first behind "--" */
    int count, free_from;
};

/* Memory is not taken apart: it goes with the process. */
__attribute__((noreturn)) static void finish(int status) {
    fflush(stdout);
    fflush(stderr);
    _exit(status);
}

__attribute__((noreturn, format(printf, 2, 3))) static void die(int status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("meerkatctl: ", stderr);
    vfprintf(stderr, fmt, args);
    fputs("\n", stderr);
    va_end(args);
    finish(status);
}

static void *need(void *p) {
    if (!p)
        die(FAILED, "out of memory");
    return p;
}

/* ---- the server ---------------------------------------------------------------------------------------------------- */

static int connect_to(const struct options *o) {
    int fd = control_connect(o->socket);
    if (fd >= 0)
        return fd;
    if (o->complete)
        finish(DONE);
    if (errno == ENAMETOOLONG)
        die(NO_SERVER, "the path of the socket is too long: %s", o->socket);
    if (errno == EACCES)
        die(NO_SERVER, "%s is for root, the server's user and its group", o->socket);
    die(NO_SERVER, "no server answers at %s (%s)", o->socket, strerror(errno));
}

static cJSON *ask(const struct options *o, const char *command, cJSON *args) {
    const char *why;
    int fd = connect_to(o);
    cJSON *answer = control_ask(fd, command, args, &why);
    close(fd);
    if (!answer)
        die(NO_SERVER, "%s", why);
    return answer;
}

static cJSON *list_of(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

static bool is_set(const cJSON *object, const char *name) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static cJSON *fetch_commands(const struct options *o) {
    return cJSON_DetachItemFromObjectCaseSensitive(ask(o, "help", NULL), "commands");
}

/* ---- commands ------------------------------------------------------------------------------------------------------ */

/* Steps over WORD where dots separate the words of NAME; NULL if it is another. */
static const char *step(const char *name, const char *word) {
    size_t len = strlen(word);
    if (strncmp(name, word, len) != 0 || (name[len] && name[len] != '.'))
        return NULL;
    return name + len;
}

/* How much of NAME the first COUNT words say; NULL if they say another. */
static const char *said_by(const char *name, char **words, int count) {
    for (int i = 0; i < count && name; i++) {
        if (i)
            name = *name == '.' ? name + 1 : NULL;
        if (name)
            name = step(name, words[i]);
    }
    return name;
}

/* The command that most of the words name; *USED is how many. */
static const cJSON *match(const cJSON *commands, char **words, int count, int *used) {
    const cJSON *best = NULL, *c;
    *used = 0;
    for (int n = 1; n <= count; n++) {
        cJSON_ArrayForEach(c, commands) {
            const char *rest = said_by(text_of(c, "name"), words, n);
            if (rest && !*rest) {
                best = c;
                *used = n;
            }
        }
    }
    return best;
}

static void print_spaced(FILE *out, const char *name) {
    for (; *name; name++)
        fputc(*name == '.' ? ' ' : *name, out);
}

static char *upper(const char *name) {
    char *out = need(strdup(name));
    for (char *p = out; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    return out;
}

static void print_synopsis(FILE *out, const cJSON *command) {
    const cJSON *a;
    print_spaced(out, text_of(command, "name"));
    cJSON_ArrayForEach(a, list_of(command, "args")) {
        bool optional = is_set(a, "optional");
        char *name = upper(text_of(a, "name"));
        fprintf(out, optional ? " [%s%s]" : " %s%s", name, strcmp(text_of(a, "type"), "texts") == 0 ? "..." : "");
        free(name);
    }
}

static void print_usage(FILE *out) {
    fputs("Usage: meerkatctl [--socket PATH] [--json] COMMAND [ARGUMENT...]\n"
          "An argument is NAME=VALUE, --NAME VALUE, --NAME-file FILE (- is standard input), or a value alone in the "
          "order\n"
          "of the command's arguments.  meerkatctl help lists the commands, help COMMAND tells about one.\n"
          "Accounts as XEP-0227 has them: meerkatctl export FILE, meerkatctl import FILE\n"
          "While the server is stopped: meerkatctl storage copy --from BACKEND --to BACKEND\n",
          out);
}

/* ---- what works without a server ----------------------------------------------------------------------------------- */

static const char *copy_option(const struct options *o, int *i, const char *name) {
    const char *word = o->words[*i];
    size_t len = strlen(name);
    if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, len) != 0 || (word[2 + len] && word[2 + len] != '='))
        return NULL;
    if (word[2 + len])
        return word + 2 + len + 1;
    if (*i + 1 == o->count)
        die(MISUSED, "%s needs a value", word);
    return o->words[++*i];
}

static void print_copy_usage(FILE *out) {
    fputs(
        "meerkatctl storage copy --from BACKEND --to BACKEND [--collection NAME] [--config FILE]\n"
        "Copies collections from one backend to another while the server is stopped, and compares both.  Run again it\n"
        "goes on where it was.  Both backends are in `backends` of the configuration; afterwards name the new one in\n"
        "`storage`, and start the server.\n",
        out);
}

/* The daemon does it: it has the backends.  Does not return. */
static void storage_copy(const struct options *o) {
    const char *from = NULL, *to = NULL, *collection = NULL, *config = NULL, *value, *daemon = getenv("MEERKATD");
    char way[256];
    const char *argv[8];
    int count = 0;
    for (int i = 2; i < o->count; i++) {
        if ((value = copy_option(o, &i, "from")) != NULL)
            from = value;
        else if ((value = copy_option(o, &i, "to")) != NULL)
            to = value;
        else if ((value = copy_option(o, &i, "collection")) != NULL)
            collection = value;
        else if ((value = copy_option(o, &i, "config")) != NULL)
            config = value;
        else
            die(MISUSED, "storage copy does not take %s", o->words[i]);
    }
    if (!from || !to) {
        print_copy_usage(stderr);
        finish(MISUSED);
    }
    snprintf(way, sizeof way, "--copy=%s:%s", from, to);
    argv[count++] = daemon && *daemon ? daemon : MEERKAT_SBIN_DIR "/meerkatd";
    argv[count++] = way;
    if (collection) {
        argv[count++] = "--collection";
        argv[count++] = collection;
    }
    if (config) {
        argv[count++] = "--config";
        argv[count++] = config;
    }
    argv[count] = NULL;
    execvp(argv[0], (char **)argv);
    die(FAILED, "%s can't be run: %s", argv[0], strerror(errno));
}

/* Files are read and written by another program, in the name of who asks.  Does not return. */
static void move_accounts(const struct options *o) {
    const char *program = getenv("MEERKAT_MOVE");
    const char **argv = need(calloc((size_t)o->count + 6, sizeof(char *)));
    int count = 0;
    argv[count++] = program && *program ? program : MEERKAT_BIN_DIR "/meerkat-move";
    argv[count++] = o->words[0];
    argv[count++] = "--socket";
    argv[count++] = o->socket;
    if (o->json)
        argv[count++] = "--json";
    if (o->help)
        argv[count++] = "--help";
    for (int i = 1; i < o->count; i++)
        argv[count++] = o->words[i];
    execvp(argv[0], (char **)argv);
    die(FAILED, "%s can't be run: %s", argv[0], strerror(errno));
}

static bool is_move(const struct options *o) {
    return o->count && (strcmp(o->words[0], "export") == 0 || strcmp(o->words[0], "import") == 0);
}

static bool is_copy(const struct options *o) {
    return o->count >= 2 && strcmp(o->words[0], "storage") == 0 && strcmp(o->words[1], "copy") == 0;
}

/* Those that begin with the words; false if there is none. */
static bool print_commands(FILE *out, const cJSON *commands, char **words, int count) {
    const cJSON *c;
    int widest = 0, shown = 0;
    for (int pass = 0; pass < 2; pass++) {
        cJSON_ArrayForEach(c, commands) {
            const char *name = text_of(c, "name");
            if (!said_by(name, words, count))
                continue;
            if (pass == 0 && (int)strlen(name) > widest)
                widest = (int)strlen(name);
            if (pass == 0)
                continue;
            fputs("  ", out);
            print_spaced(out, name);
            fprintf(out, "%*s  %s\n", widest - (int)strlen(name), "", text_of(c, "summary"));
            shown++;
        }
    }
    return shown > 0;
}

static void print_rows(const char *title, const cJSON *rows) {
    const cJSON *a;
    int widest = 0;
    cJSON_ArrayForEach(a, rows) {
        int len = (int)strlen(text_of(a, "name"));
        widest = len > widest ? len : widest;
    }
    if (rows && rows->child)
        printf("\n%s\n", title);
    cJSON_ArrayForEach(a, rows) printf("  %-*s  %s%s\n", widest, text_of(a, "name"), text_of(a, "doc"),
                                       is_set(a, "optional") ? " Optional." : "");
}

static int help(const struct options *o) {
    cJSON *commands = fetch_commands(o);
    int used;
    const cJSON *c = match(commands, o->words, o->count, &used);
    if (c && used == o->count) {
        printf("%s\n\nmeerkatctl ", text_of(c, "summary"));
        print_synopsis(stdout, c);
        puts("");
        print_rows("Arguments:", list_of(c, "args"));
        print_rows("Shows:", list_of(c, "results"));
    } else {
        if (o->count == 0) {
            print_usage(stdout);
            puts("");
        }
        if (!print_commands(stdout, commands, o->words, o->count))
            die(MISUSED, "there is no command of this name; meerkatctl help lists them");
    }
    return DONE;
}

/* ---- arguments ----------------------------------------------------------------------------------------------------- */

/* LEN bytes of WORD name an argument; dashes may stand for underscores. */
static const cJSON *find_arg(const cJSON *command, const char *word, size_t len) {
    const cJSON *a;
    cJSON_ArrayForEach(a, list_of(command, "args")) {
        const char *name = text_of(a, "name");
        size_t i = 0;
        while (i < len && name[i] && (name[i] == word[i] || (name[i] == '_' && word[i] == '-')))
            i++;
        if (i == len && !name[i])
            return a;
    }
    return NULL;
}

static void put(cJSON *args, const cJSON *arg, const char *value) {
    const char *name = text_of(arg, "name");
    if (strcmp(text_of(arg, "type"), "texts") == 0) {
        cJSON *list = list_of(args, name);
        if (!list)
            list = cJSON_AddArrayToObject(args, name);
        cJSON_AddItemToArray(list, cJSON_CreateString(value));
    } else if (list_of(args, name)) {
        die(MISUSED, "argument %s is given twice", name);
    } else {
        cJSON_AddStringToObject(args, name, value);
    }
}

static char *read_value(const char *path) {
    char *text = need(malloc(FILE_MAX + 2));
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!f)
        die(MISUSED, "%s: %s", path, strerror(errno));
    size_t len = fread(text, 1, FILE_MAX + 1, f);
    if (ferror(f))
        die(MISUSED, "%s: %s", path, strerror(errno));
    if (f != stdin)
        fclose(f);
    if (len > FILE_MAX)
        die(MISUSED, "%s has more than %d bytes", path, FILE_MAX);
    text[len] = '\0';
    if (strlen(text) != len)
        die(MISUSED, "%s is no text", path);
    if (len && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len && text[len - 1] == '\r')
        text[--len] = '\0';
    return text;
}

/* "--name VALUE", "--name=VALUE", "--name-file FILE", "--flag".  Returns how many words it took. */
static int put_option(cJSON *args, const cJSON *command, char **words, int left) {
    static const char suffix[] = "-file";
    const char *word = words[0] + 2, *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const cJSON *a = find_arg(command, word, len);
    bool from_file = false;
    if (!a && len >= sizeof suffix && strncmp(word + len - strlen(suffix), suffix, strlen(suffix)) == 0) {
        a = find_arg(command, word, len - strlen(suffix));
        from_file = true;
    }
    if (!a)
        die(MISUSED, "there is no option --%.*s; meerkatctl help tells what the command takes", (int)len, word);
    if (!from_file && !equals && strcmp(text_of(a, "type"), "bool") == 0) {
        put(args, a, "true");
        return 1;
    }
    if (!equals && left < 2)
        die(MISUSED, "--%s needs a value", word);
    const char *value = equals ? equals + 1 : words[1];
    char *content = from_file ? read_value(value) : NULL;
    put(args, a, content ? content : value);
    free(content);
    return equals ? 1 : 2;
}

/* The next argument that takes a value without a name. */
static const cJSON *next_arg(const cJSON *command, const cJSON *args) {
    const cJSON *a;
    cJSON_ArrayForEach(a,
                       list_of(command, "args")) if (!list_of(args, text_of(a, "name")) ||
                                                     (!a->next && strcmp(text_of(a, "type"), "texts") == 0)) return a;
    return NULL;
}

static bool looks_named(const char *word, const char *equals) {
    return equals && equals > word && strspn(word, "abcdefghijklmnopqrstuvwxyz_-") == (size_t)(equals - word);
}

static cJSON *read_args(const struct options *o, const cJSON *command, int from) {
    cJSON *args = cJSON_CreateObject();
    for (int i = from; i < o->count;) {
        const char *word = o->words[i], *equals = strchr(word, '=');
        bool plain = i >= o->free_from;
        if (!plain && strncmp(word, "--", 2) == 0) {
            i += put_option(args, command, o->words + i, o->count - i);
            continue;
        }
        const cJSON *named = equals && !plain ? find_arg(command, word, (size_t)(equals - word)) : NULL;
        if (!named && !plain && looks_named(word, equals))
            die(MISUSED, "there is no argument %.*s; a value with = in it is given by name, or behind --",
                (int)(equals - word), word);
        const cJSON *a = named ? named : next_arg(command, args);
        if (!a)
            die(MISUSED, "one argument too many: %s; meerkatctl help tells what the command takes", word);
        put(args, a, named ? equals + 1 : word);
        i++;
    }
    return args;
}

/* ---- passwords ----------------------------------------------------------------------------------------------------- */

static char *prompt(int tty, const char *question) {
    struct termios before, silent;
    size_t len = 0;
    char *text = need(calloc(1, FILE_MAX));
    if (write(tty, question, strlen(question)) < 0 || tcgetattr(tty, &before) != 0)
        die(MISUSED, "can't ask for the password: %s", strerror(errno));
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(tty, TCSAFLUSH, &silent);
    while (len + 1 < FILE_MAX && read(tty, text + len, 1) == 1 && text[len] != '\n')
        len++;
    text[len] = '\0';
    tcsetattr(tty, TCSAFLUSH, &before);
    if (write(tty, "\n", 1) < 0)
        die(MISUSED, "the terminal is gone");
    return text;
}

static void ask_for(cJSON *args, const char *name) {
    char question[128];
    int tty = isatty(STDIN_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC) : -1;
    if (tty < 0)
        die(MISUSED, "argument %s is missing: --%s-file - reads it from standard input", name, name);
    snprintf(question, sizeof question, "New %s: ", name);
    char *first = prompt(tty, question);
    snprintf(question, sizeof question, "Again: ");
    char *second = prompt(tty, question);
    close(tty);
    if (strcmp(first, second) != 0)
        die(MISUSED, "the two differ; nothing was changed");
    cJSON_AddStringToObject(args, name, first);
    explicit_bzero(first, strlen(first));
    explicit_bzero(second, strlen(second));
    free(first);
    free(second);
}

/* What is missing of what must be there: secrets are asked for. */
static void complete_args(cJSON *args, const cJSON *command) {
    const cJSON *a;
    for (int secret = 0; secret < 2; secret++) {
        cJSON_ArrayForEach(a, list_of(command, "args")) {
            const char *name = text_of(a, "name");
            if (is_set(a, "optional") || list_of(args, name) || (strcmp(text_of(a, "type"), "secret") == 0) != secret)
                continue;
            if (!secret)
                die(MISUSED, "argument %s is missing: %s", name, text_of(a, "doc"));
            ask_for(args, name);
        }
    }
}

/* ---- output -------------------------------------------------------------------------------------------------------- */

/* What users wrote must not steer the operator's terminal. */
static char *tame(char *text) {
    unsigned char *p = (unsigned char *)text;
    for (; *p; p++) {
        if (*p < ' ' || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[1] = 0xbf;
    }
    return text;
}

static char *shown(const cJSON *value) {
    if (cJSON_IsString(value))
        return tame(need(strdup(value->valuestring)));
    return value ? need(cJSON_PrintUnformatted(value)) : need(strdup(""));
}

static int width(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

struct column {
    const char *name;
    int width;
    bool numeric;
};

static int read_columns(const cJSON *rows, struct column *columns) {
    const cJSON *row, *field;
    int count = 0;
    cJSON_ArrayForEach(row, rows) {
        cJSON_ArrayForEach(field, row) {
            int i = 0;
            while (i < count && strcmp(columns[i].name, field->string) != 0)
                i++;
            if (i == COLUMNS_MAX)
                continue;
            if (i == count)
                columns[count++] = (struct column){ field->string, width(field->string), true };
            char *text = shown(field);
            if (width(text) > columns[i].width)
                columns[i].width = width(text);
            columns[i].numeric &= cJSON_IsNumber(field);
            free(text);
        }
    }
    return count;
}

static void print_cell(const struct column *c, const char *text, bool last) {
    int pad = c->width - width(text);
    if (c->numeric)
        printf("%*s%s%s", pad, "", text, last ? "\n" : "  ");
    else
        printf("%s%*s%s", text, last ? 0 : pad, "", last ? "\n" : "  ");
}

static void print_table(const cJSON *rows) {
    struct column columns[COLUMNS_MAX];
    int count = read_columns(rows, columns);
    const cJSON *row;
    for (int i = 0; i < count && count > 1; i++) {
        char *title = upper(columns[i].name);
        print_cell(&columns[i], title, i + 1 == count);
        free(title);
    }
    cJSON_ArrayForEach(row, rows) {
        for (int i = 0; i < count; i++) {
            char *text = shown(cJSON_GetObjectItemCaseSensitive(row, columns[i].name));
            if (count == 1)
                puts(text);
            else
                print_cell(&columns[i], text, i + 1 == count);
            free(text);
        }
    }
}

/* One row that is the whole answer. */
static void print_object(const cJSON *row) {
    const cJSON *field;
    int widest = 0;
    cJSON_ArrayForEach(field, row) widest = width(field->string) > widest ? width(field->string) : widest;
    cJSON_ArrayForEach(field, row) {
        char *text = shown(field);
        if (row->child->next)
            printf("%-*s  ", widest, field->string);
        puts(text);
        free(text);
    }
}

static void print_lines(FILE *out, const cJSON *lines) {
    const cJSON *line;
    cJSON_ArrayForEach(line, lines) {
        char *text = shown(line);
        fprintf(out, "%s\n", text);
        free(text);
    }
}

static void print_json(cJSON *answer) {
    cJSON *rows = list_of(answer, "rows"), *lines = list_of(answer, "lines"), *what = rows;
    bool only_lines = !(rows && rows->child) && lines && lines->child;
    if (!is_set(answer, "ok") || only_lines) {
        what = answer;
        const char *const inner[] = { "ok", "list", "usage", "rows" };
        for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++)
            cJSON_DeleteItemFromObjectCaseSensitive(answer, inner[i]);
    } else if (!is_set(answer, "list") && rows && rows->child) {
        what = rows->child;
    }
    char *text = need(cJSON_Print(what));
    puts(text);
    cJSON_free(text);
}

/* Rows are the output; what the server says beside them is for the person. */
static int print_answer(const struct options *o, cJSON *answer) {
    const cJSON *rows = list_of(answer, "rows"), *lines = list_of(answer, "lines");
    bool good = is_set(answer, "ok"), usage = is_set(answer, "usage");
    if (!good)
        fprintf(stderr, "meerkatctl: %s\n", text_of(answer, "error"));
    if (o->json) {
        if (rows && rows->child)
            print_lines(stderr, lines);
        print_json(answer);
        return good ? DONE : usage ? MISUSED : FAILED;
    }
    if (rows && rows->child && !is_set(answer, "list"))
        print_object(rows->child);
    else
        print_table(rows);
    fflush(stdout);
    print_lines(good && !(rows && rows->child) ? stdout : stderr, lines);
    return good ? DONE : usage ? MISUSED : FAILED;
}

/* ---- completion ---------------------------------------------------------------------------------------------------- */

static void offer(const char *begun, const char *text, size_t len, const char *end) {
    if (len >= strlen(begun) && strncmp(text, begun, strlen(begun)) == 0)
        printf("%.*s%s\n", (int)len, text, end);
}

static void offer_args(const cJSON *command, char **words, int count, const char *begun) {
    const cJSON *a;
    cJSON_ArrayForEach(a, list_of(command, "args")) {
        const char *name = text_of(a, "name");
        bool given = false;
        for (int i = 0; i < count; i++)
            given |= strncmp(words[i], name, strlen(name)) == 0 && words[i][strlen(name)] == '=';
        if (!given)
            offer(begun, name, strlen(name), "=");
    }
}

/* The last of the words is begun; words that bash cut at a "=" have nothing to offer. */
static int complete(const struct options *o) {
    const char *begun = o->count ? o->words[o->count - 1] : "";
    int before = o->count ? o->count - 1 : 0, used;
    if (strcmp(begun, "=") == 0 || (before && strcmp(o->words[before - 1], "=") == 0))
        return DONE;
    cJSON *commands = fetch_commands(o);
    const cJSON *c, *matched = match(commands, o->words, before, &used);
    const char *last = NULL;
    size_t last_len = 0;
    cJSON_ArrayForEach(c, commands) {
        const char *rest = said_by(text_of(c, "name"), o->words, before);
        if (!rest || (before && *rest != '.'))
            continue;
        rest += before ? 1 : 0;
        size_t len = strcspn(rest, ".");
        if (!last || len != last_len || strncmp(rest, last, len) != 0)
            offer(begun, rest, len, "");
        last = rest;
        last_len = len;
    }
    if (!before)
        offer(begun, "help", strlen("help"), "");
    if (matched)
        offer_args(matched, o->words + used, before - used, begun);
    return DONE;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

static const char *option_value(char **argv, int argc, int *i, const char *name) {
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0 || (argv[*i][len] && argv[*i][len] != '='))
        return NULL;
    if (argv[*i][len])
        return argv[*i] + len + 1;
    if (*i + 1 == argc)
        die(MISUSED, "%s needs a value", name);
    return argv[++*i];
}

static void read_options(struct options *o, int argc, char **argv) {
    o->socket = control_default_socket();
    o->words = need(calloc((size_t)argc + 1, sizeof(char *)));
    o->free_from = argc;
    for (int i = 1; i < argc; i++) {
        const char *socket;
        if (o->free_from < argc)
            o->words[o->count++] = argv[i];
        else if (strcmp(argv[i], "--") == 0 && !o->complete)
            o->free_from = o->count;
        else if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            o->help = true;
        else if (strcmp(argv[i], "--complete") == 0)
            o->complete = true;
        else if ((socket = option_value(argv, argc, &i, "--socket")) != NULL)
            o->socket = socket;
        else
            o->words[o->count++] = argv[i];
    }
}

/* An answer in parts is printed a part at a time. */
static int ask_all(const struct options *o, const char *command, cJSON *args) {
    for (;;) {
        cJSON *answer = ask(o, command, cJSON_Duplicate(args, true));
        cJSON *more = cJSON_DetachItemFromObjectCaseSensitive(answer, "more");
        int status = print_answer(o, answer);
        if (status != DONE || !more || !more->child)
            return status;
        const char *name = more->child->string;
        cJSON_DeleteItemFromObjectCaseSensitive(args, name);
        cJSON_AddStringToObject(args, name, text_of(more, name));
        cJSON_Delete(more);
        cJSON_Delete(answer);
    }
}

static int run(const struct options *o) {
    int used;
    cJSON *commands = fetch_commands(o);
    const cJSON *command = match(commands, o->words, o->count, &used);
    if (!command) {
        char name[256] = "";
        for (int i = 0; i < o->count && strncmp(o->words[i], "--", 2) != 0 && !strchr(o->words[i], '@'); i++)
            snprintf(name + strlen(name), sizeof name - strlen(name), "%s%s", i ? "." : "", o->words[i]);
        if (print_commands(stderr, commands, o->words, o->count))
            die(MISUSED, "this is only the beginning of a command");
        return print_answer(o, ask(o, name, NULL)); /* the server knows what is near */
    }
    cJSON *args = read_args(o, command, used);
    complete_args(args, command);
    return ask_all(o, text_of(command, "name"), args);
}

int main(int argc, char **argv) {
    struct options o = { 0 };
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("meerkatctl " MEERKAT_VERSION);
        finish(DONE);
    }
    read_options(&o, argc, argv);
    int status;
    if (o.complete) {
        status = complete(&o);
    } else if (is_copy(&o) && !o.help) {
        storage_copy(&o);
        status = FAILED;
    } else if (is_copy(&o)) {
        print_copy_usage(stdout);
        status = DONE;
    } else if (is_move(&o)) {
        move_accounts(&o);
        status = FAILED;
    } else if (o.count && strcmp(o.words[0], "help") == 0) {
        o.words++;
        o.count--;
        status = help(&o);
    } else if (o.help) {
        status = o.count ? help(&o) : (print_usage(stdout), DONE);
    } else if (!o.count) {
        print_usage(stderr);
        status = MISUSED;
    } else {
        status = run(&o);
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        die(FAILED, "the output can't be written: %s", strerror(errno));
    finish(status);
}
