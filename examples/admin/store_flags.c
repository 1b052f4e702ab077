/* store_flags.c: read the flags of a store, judge them, open it; see store_flags.h. */
#include "store_flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_MAX       1024
#define TIMEOUT_MAX_MS     (UINT64_C(10) * 60 * 1000)
#define TIMEOUT_DEFAULT_MS 5000 /* the store's */

const char store_flags_help[] =
    "  --store=memory:                         where everything is kept: gone with the program,\n"
    "  --store=sqlite:PATH                     in a file that one program owns at a time, or\n"
    "  --store=etcd:URL[,URL...][/PREFIX]      in an etcd that any number of them share; URL is\n"
    "                                          http://HOST:PORT or https://HOST:PORT, all of\n"
    "                                          one kind; PREFIX of its keys (default /ipalloc)\n"
    "  --etcd-cafile=FILE                      https: authorities that sign etcd's certificate\n"
    "                                          (default the system's)\n"
    "  --etcd-certfile=FILE --etcd-keyfile=FILE  https: our own certificate and its key\n"
    "  --etcd-user=NAME --etcd-password-file=FILE  log in; the password is the file's first line\n"
    "  --etcd-timeout=TIME                     of one call, over all endpoints: 500ms, 5s, 1m\n"
    "                                          (default 5s)\n";

bool store_flags_is_etcd(const char *url) {
    return text_starts_with(url, "etcd:");
}

bool store_flags_is_sqlite(const char *url) {
    return text_starts_with(url, "sqlite:");
}

uint64_t store_flags_timeout_ms(const struct store_flags *flags) {
    return flags->timeout_ms != 0 ? flags->timeout_ms : TIMEOUT_DEFAULT_MS;
}

/* --- one flag --------------------------------------------------------------------------------- */

static bool refuse(struct text *rule, const char *words) {
    text_add(rule, words);
    return false;
}

static bool take_url(struct store_flags *flags, const char *value, struct text *rule) {
    static const char sqlite[] = "sqlite:";
    static const char etcd[] = "etcd:";
    if (store_flags_is_etcd(value)) {
        const char *at = value + strlen(etcd);
        if (!text_starts_with(at, "http://") && !text_starts_with(at, "https://")) {
            return refuse(rule, "it must be etcd:http://HOST:PORT[,http://HOST:PORT...][/PREFIX], "
                                "or the same with https");
        }
        if (strchr(at, '@') != NULL) {
            return refuse(rule, "a user is named by --etcd-user, and the password comes from "
                                "--etcd-password-file");
        }
    } else if (strcmp(value, "memory:") != 0 &&
               !(store_flags_is_sqlite(value) && value[strlen(sqlite)] != '\0')) {
        return refuse(rule, "it must be memory:, sqlite:PATH or etcd:URL[,URL...][/PREFIX]");
    }
    flags->url = value;
    return true;
}

static bool take_timeout(struct store_flags *flags, const char *value, struct text *rule) {
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
    char *end = NULL;
    uint64_t number = value[0] >= '0' && value[0] <= '9' ? strtoull(value, &end, 10) : 0;
    for (size_t i = 0; end != NULL && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) == 0 && number > 0 &&
            number <= TIMEOUT_MAX_MS / units[i].ms) {
            flags->timeout_ms = number * units[i].ms;
            return true;
        }
    }
    return refuse(rule, "it must be a time from 1ms to 10m: 500ms, 5s, 1m");
}

const char *const store_flag_names[STORE_FLAG_NAMES_MAX + 1] = {
    "store",     "etcd-cafile",        "etcd-certfile", "etcd-keyfile",
    "etcd-user", "etcd-password-file", "etcd-timeout",  NULL,
};

bool store_flags_take(struct store_flags *flags, const char *name, const char *value,
                      struct text *rule) {
    const char **const texts[STORE_FLAG_NAMES_MAX] = {NULL,
                                                      &flags->ca_file,
                                                      &flags->cert_file,
                                                      &flags->key_file,
                                                      &flags->user,
                                                      &flags->password_file,
                                                      NULL};
    if (strcmp(name, "store") == 0) {
        return take_url(flags, value, rule);
    }
    if (flags->first == NULL) {
        flags->first = name;
    }
    if (strcmp(name, "etcd-timeout") == 0) {
        return take_timeout(flags, value, rule);
    }
    for (size_t i = 0; i < STORE_FLAG_NAMES_MAX; i++) {
        if (texts[i] != NULL && strcmp(name, store_flag_names[i]) == 0) {
            *texts[i] = value;
        }
    }
    return value[0] != '\0' || refuse(rule, "it must not be empty");
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool refuse_pair(struct text *problem, const char *given, const char *missing) {
    text_format(problem, "--%s: it needs --%s, too", given, missing);
    return false;
}

bool store_flags_check(const struct store_flags *flags, struct text *problem) {
    bool etcd = flags->url != NULL && store_flags_is_etcd(flags->url);
    bool tls = etcd && text_starts_with(flags->url, "etcd:https://");
    const char *of_tls = flags->ca_file != NULL     ? "etcd-cafile"
                         : flags->cert_file != NULL ? "etcd-certfile"
                         : flags->key_file != NULL  ? "etcd-keyfile"
                                                    : NULL;
    if (flags->first != NULL && !etcd) {
        text_format(problem, "--%s: it is for --store=etcd:...", flags->first);
        return false;
    }
    if (of_tls != NULL && !tls) {
        text_format(problem, "--%s: it is for --store=etcd:https://...", of_tls);
        return false;
    }
    if ((flags->cert_file != NULL) != (flags->key_file != NULL)) {
        return flags->cert_file != NULL ? refuse_pair(problem, "etcd-certfile", "etcd-keyfile")
                                        : refuse_pair(problem, "etcd-keyfile", "etcd-certfile");
    }
    if ((flags->user != NULL) != (flags->password_file != NULL)) {
        return flags->user != NULL ? refuse_pair(problem, "etcd-user", "etcd-password-file")
                                   : refuse_pair(problem, "etcd-password-file", "etcd-user");
    }
    return true;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int refuse_password(const struct store_flags *flags, const char *why, ipalloc_error *error) {
    if (error != NULL) {
        error->status = IPALLOC_E_INVALID;
        snprintf(error->message, sizeof error->message, "--etcd-password-file=%.200s: %s",
                 flags->password_file, why);
    }
    return IPALLOC_E_INVALID;
}

/* The first line, without what ends it. */
static int read_password(const struct store_flags *flags, char password[PASSWORD_MAX],
                         ipalloc_error *error) {
    FILE *file = fopen(flags->password_file, "re");
    if (file == NULL) {
        return refuse_password(flags, strerror(errno), error);
    }
    bool read = fgets(password, PASSWORD_MAX, file) != NULL;
    int cause = ferror(file) ? errno : 0;
    fclose(file);
    if (cause != 0) {
        return refuse_password(flags, strerror(cause), error);
    }
    if (!read) {
        return refuse_password(flags, "it is empty", error);
    }
    size_t length = strcspn(password, "\r\n");
    if (length == PASSWORD_MAX - 1) {
        return refuse_password(flags, "its first line is too long for a password", error);
    }
    password[length] = '\0';
    return length > 0 ? IPALLOC_OK
                      : refuse_password(flags, "there is no password in its first line", error);
}

/* Memory that is given back may be read by who gets it next. */
static void forget(char *password, size_t size) {
    explicit_bzero(password, size);
}

int store_flags_open(const struct store_flags *flags, const ipalloc_store_options *options,
                     ipalloc_store **out, ipalloc_error *error) {
    char password[PASSWORD_MAX] = "";
    ipalloc_store_options all = {.size = sizeof all};
    if (options != NULL) {
        all = *options;
    }
    all.ca_file = flags->ca_file;
    all.cert_file = flags->cert_file;
    all.key_file = flags->key_file;
    all.timeout_ms = store_flags_timeout_ms(flags);
    all.user = flags->user;
    if (flags->password_file != NULL) {
        int status = read_password(flags, password, error);
        if (status != IPALLOC_OK) {
            forget(password, sizeof password);
            return status;
        }
        all.password = password;
    }
    int status = ipalloc_store_open(flags->url, &all, out, error);
    forget(password, sizeof password);
    return status;
}
